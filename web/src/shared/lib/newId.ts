/** A unique id. `crypto.randomUUID` is missing on pages served over plain HTTP. */
export const newId = () => crypto.getRandomValues(new Uint32Array(4)).join('-');
