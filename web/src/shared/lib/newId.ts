/** An id that nobody else has. `crypto.randomUUID` is missing where a page came by plain HTTP from another machine. */
export const newId = () => crypto.getRandomValues(new Uint32Array(4)).join('-');
