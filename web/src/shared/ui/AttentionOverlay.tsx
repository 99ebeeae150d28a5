import Box from '@mui/material/Box';
import { useEffect, useRef } from 'react';

export interface AttentionMap {
  rows: number;
  columns: number;
  weights: ArrayLike<number>; // rows x columns, row by row, 0 to 255
}

/**
 * Darkens a photo except where the model looked. Purely visual and hidden from screen readers: the place is also
 * announced in words (see placeOf).
 */
export function AttentionOverlay({ map }: { map: AttentionMap | null }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext('2d');
    if (!context || !map) return;
    const { rows, columns, weights } = map;
    const veil = context.createImageData(columns, rows);
    const max = Math.max(1, ...Array.from({ length: rows * columns }, (_, place) => weights[place] ?? 0));
    for (let place = 0; place < rows * columns; place += 1) {
      const share = (weights[place] ?? 0) / max;
      veil.data[place * 4 + 3] = Math.round(200 * (1 - Math.sqrt(share)));
    }
    context.canvas.width = columns;
    context.canvas.height = rows;
    context.putImageData(veil, 0, 0);
  }, [map]);
  return (
    <Box
      component="canvas"
      ref={canvas}
      aria-hidden
      sx={{
        position: 'absolute',
        inset: 0,
        width: '100%',
        height: '100%',
        opacity: map ? 1 : 0,
        transition: 'opacity 160ms',
        pointerEvents: 'none',
        imageRendering: 'auto', // let the browser smooth the coarse grid
      }}
    />
  );
}

export type Place = 'topLeft' | 'top' | 'topRight' | 'left' | 'centre' | 'right' | 'bottomLeft' | 'bottom' | 'bottomRight';

const PLACES: Place[][] = [
  ['topLeft', 'top', 'topRight'],
  ['left', 'centre', 'right'],
  ['bottomLeft', 'bottom', 'bottomRight'],
];

/** The part of the photo that holds the centre of attention, in words. */
export function placeOf({ rows, columns, weights }: AttentionMap): Place {
  let total = 0;
  let down = 0;
  let across = 0;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const weight = weights[row * columns + column] ?? 0;
      total += weight;
      down += weight * (row + 0.5);
      across += weight * (column + 0.5);
    }
  }
  if (total === 0) return 'centre';
  const third = (value: number, size: number) => Math.min(2, Math.floor((value / total / size) * 3));
  return PLACES[third(down, rows)]?.[third(across, columns)] ?? 'centre';
}
