// The live connection. Events are hints: the API is the truth, so whoever was away too long reloads.
export interface LiveEvent {
  id: number;
  type: string;
  data: Record<string, unknown>;
  at: string;
}

export type Connection = 'connecting' | 'open' | 'waiting' | 'closed';

interface Handlers {
  onEvent: (event: LiveEvent) => void;
  onReset: () => void; // what was missed is too old to be sent again
  onConnection: (state: Connection) => void;
}

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
const SILENCE_MS = 60_000; // three heartbeats of the server
const REPLAYED_MS = 60_000; // so much the server sends again to whoever connects for the first time

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
    addEventListener('online', this.now);
    this.open();
  }

  stop(): void {
    this.stopped = true;
    removeEventListener('online', this.now);
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.socket?.close(1000);
    this.socket = null;
    this.handlers.onConnection('closed');
  }

  private readonly now = (): void => {
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
      if (this.socket === socket && !this.stopped) this.later();
    };
    this.watch(socket);
  }

  private later(): void {
    this.handlers.onConnection('waiting');
    clearTimeout(this.silence);
    clearTimeout(this.timer);
    // Jitter, so that a restarted server does not meet everybody at once.
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
    } else if (typeof message.id === 'number') {
      this.last = Math.max(this.last ?? 0, message.id);
      this.handlers.onEvent(message as LiveEvent);
    }
  }
}
