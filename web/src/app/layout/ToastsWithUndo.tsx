import { Toasts } from '@/shared/ui/Toasts';
import { useUndo } from '../undo';

export default function ToastsWithUndo() {
  return <Toasts onUndo={useUndo()} />;
}
