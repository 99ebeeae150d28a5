import type { ImageOut } from '@/shared/api/generated';
import { ImageCard } from './ImageCard';
import { UploadCard } from './UploadCard';
import type { Upload } from './uploads';

interface CardsProps {
  uploads: readonly Upload[];
  images: ReadonlyMap<string, ImageOut>;
  earlier: readonly ImageOut[];
}

/** What was just uploaded, and earlier photos after it. */
export default function Cards({ uploads, images, earlier }: CardsProps) {
  return (
    <>
      {uploads.map((upload) => (
        <UploadCard key={upload.id} upload={upload} image={upload.image ? images.get(upload.image) : undefined} />
      ))}
      {earlier.map((image) => (
        <ImageCard key={image.id} image={image} />
      ))}
    </>
  );
}
