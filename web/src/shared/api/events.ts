// The event stream. Events are hints, the API is authoritative: after a long interruption, data is reloaded.
export interface LiveEvent {
  id: number;
  type: string;
  data: Record<string, unknown>;
  at: string;
}

export type Connection = 'connecting' | 'open' | 'waiting' | 'closed';

interface Handlers {
  onEvent: (event: LiveEvent) => void;
  onReset: () => void; // missed events are too old to be replayed
  onConnection: (state: Connection) => void;
}

type Listener = (event: Pick<LiveEvent, 'type' | 'data'>) => void;
const listeners = new Set<Listener>();

/** Hear everything that the stream sends, also what is not recorded and therefore has no id; returns a stop function. */
export function onLiveEvent(listener: Listener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
const SILENCE_MS = 60_000; // three server heartbeats
const REPLAYED_MS = 60_000; // what the server replays on the first connection

export class EventStream {
  private socket: WebSocket | null = null;
  private last: number | null = null;
  private delay = FIRST_DELAY_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private silence: ReturnType<typeof setTimeout> | undefined;
  private stopped = true;
  private startedAt = 0;

  constructor(
    private readonly handlers: Handlers,
    private readonly url: () => string = () => `${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`,
  ) {}

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.startedAt = Date.now();
    addEventListener('online', this.reconnectNow);
    this.open();
  }

  stop(): void {
    this.stopped = true;
    removeEventListener('online', this.reconnectNow);
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.socket?.close(1000);
    this.socket = null;
    this.handlers.onConnection('closed');
  }

  private readonly reconnectNow = (): void => {
    if (this.socket?.readyState === WebSocket.OPEN) return;
    clearTimeout(this.timer);
    this.delay = FIRST_DELAY_MS;
    this.open();
  };

  private open(): void {
    this.socket?.close();
    this.handlers.onConnection('connecting');
    const socket = new WebSocket(this.last === null ? this.url() : `${this.url()}?after=${this.last}`);
    this.socket = socket;
    socket.onmessage = (message) => this.receive(socket, String(message.data));
    socket.onclose = () => {
      if (this.socket === socket && !this.stopped) this.scheduleReconnect();
    };
    this.watch(socket);
  }

  private scheduleReconnect(): void {
    this.handlers.onConnection('waiting');
    clearTimeout(this.silence);
    clearTimeout(this.timer);
    // Jitter, so that clients do not all reconnect to a restarted server at once.
    this.timer = setTimeout(() => this.open(), this.delay * (0.5 + Math.random()));
    this.delay = Math.min(this.delay * 2, LONGEST_DELAY_MS);
  }

  private watch(socket: WebSocket): void {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => socket.close(), SILENCE_MS);
  }

  private receive(socket: WebSocket, text: string): void {
    if (this.socket !== socket) return;
    this.watch(socket);
    const message = JSON.parse(text) as Partial<LiveEvent> & { type: string };
    if (message.type === 'hello') {
      this.delay = FIRST_DELAY_MS;
      const hello = message.data as { last_event?: number } | undefined;
      if (this.last === null && Date.now() - this.startedAt > REPLAYED_MS / 2) this.handlers.onReset();
      if (this.last === null && typeof hello?.last_event === 'number') this.last = hello.last_event;
      this.handlers.onConnection('open');
    } else if (message.type === 'ping') {
      socket.send('{"type":"pong"}');
    } else if (message.type === 'reset') {
      this.last = null;
      this.handlers.onReset();
    } else {
      for (const listener of listeners) listener(message as LiveEvent);
      if (typeof message.id !== 'number') return;
      this.last = Math.max(this.last ?? 0, message.id);
      this.handlers.onEvent(message as LiveEvent);
    }
  }
}
