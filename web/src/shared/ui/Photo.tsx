import { styled } from '@mui/material/styles';
import { useState } from 'react';

export interface PhotoSources {
  jpeg: string;
  webp?: string;
  avif?: string;
}

interface PhotoProps {
  sources: PhotoSources | null; // null: not available yet; shows the placeholder
  alt: string; // the caption
  width: number;
  height: number;
  placeholder?: string;
  fit?: 'cover' | 'contain';
  eager?: boolean;
  fills?: boolean; // fill the container instead of keeping the aspect ratio
  className?: string;
}

const Frame = styled('div')({
  position: 'relative',
  overflow: 'hidden',
  backgroundColor: 'var(--mui-palette-action-hover)',
  backgroundSize: 'cover',
});
const FILLS = { position: 'absolute', inset: 0 } as const;
const Picture = styled('img')({ position: 'absolute', inset: 0, width: '100%', height: '100%', display: 'block' });

/** A photo in a frame of its aspect ratio, with a tiny placeholder: nothing shifts when it loads. */
export function Photo({ sources, alt, width, height, placeholder, fit = 'cover', eager = false, fills = false, className }: PhotoProps) {
  const [isLoaded, setLoaded] = useState(false);
  return (
    <Frame
      className={className}
      // Inline: otherwise ten thousand photos would leave ten thousand rules in the style sheet.
      style={{ ...(fills ? FILLS : { aspectRatio: `${width} / ${height}` }), backgroundImage: placeholder && !isLoaded ? `url("${placeholder}")` : undefined }}
    >
      {sources ? (
        <picture>
          {sources.avif ? <source type="image/avif" srcSet={sources.avif} /> : null}
          {sources.webp ? <source type="image/webp" srcSet={sources.webp} /> : null}
          <Picture
            src={sources.jpeg}
            alt={alt}
            width={width}
            height={height}
            loading={eager ? 'eager' : 'lazy'}
            fetchPriority={eager ? 'high' : 'auto'}
            decoding="async"
            onLoad={() => setLoaded(true)}
            style={{ objectFit: fit }}
          />
        </picture>
      ) : null}
    </Frame>
  );
}
