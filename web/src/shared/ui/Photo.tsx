import Box from '@mui/material/Box';
import type { SxProps, Theme } from '@mui/material/styles';
import { useState } from 'react';

export interface PhotoSources {
  jpeg: string;
  webp?: string;
  avif?: string;
}

interface PhotoProps {
  sources: PhotoSources | null; // null: not there yet; the placeholder shows
  alt: string; // the caption
  width: number;
  height: number;
  placeholder?: string;
  fit?: 'cover' | 'contain';
  eager?: boolean;
  sx?: SxProps<Theme>;
}

/** A photo in a frame of its own proportions, over its tiny placeholder: nothing moves when it arrives. */
export function Photo({ sources, alt, width, height, placeholder, fit = 'cover', eager = false, sx }: PhotoProps) {
  const [isLoaded, setLoaded] = useState(false);
  return (
    <Box
      sx={[
        {
          position: 'relative',
          overflow: 'hidden',
          aspectRatio: `${width} / ${height}`,
          bgcolor: 'action.hover',
          backgroundSize: 'cover',
        },
        ...(Array.isArray(sx) ? sx : [sx]),
      ]}
      // Of the element alone: a rule in the style sheet for each of ten thousand photos would stay for good.
      style={{ backgroundImage: placeholder && !isLoaded ? `url("${placeholder}")` : undefined }}
    >
      {sources ? (
        <picture>
          {sources.avif ? <source type="image/avif" srcSet={sources.avif} /> : null}
          {sources.webp ? <source type="image/webp" srcSet={sources.webp} /> : null}
          <Box
            component="img"
            src={sources.jpeg}
            alt={alt}
            width={width}
            height={height}
            loading={eager ? 'eager' : 'lazy'}
            fetchPriority={eager ? 'high' : 'auto'}
            decoding="async"
            onLoad={() => setLoaded(true)}
            sx={{ position: 'absolute', inset: 0, width: '100%', height: '100%', objectFit: fit, display: 'block' }}
          />
        </picture>
      ) : null}
    </Box>
  );
}
