// The public model: one file, the same for everybody, with all items at once.

const FILE = "model.bin"; // length of the JSON, JSON padded to 4 bytes, then float32: see palate.service.federated.device_page.site

/** Facts and items, and the tables: level and factors (size, dim + 1), noise of an answer and share who know it (size,). */
export async function loadModel() {
  const response = await fetch(FILE, { credentials: "omit" });
  if (!response.ok) throw new Error(`${FILE}: ${response.status}`);
  const bytes = await response.arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const facts = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  const size = facts.items.length;
  const width = facts.dim + 1;
  const numbers = new Float32Array(bytes, 4 + length);
  if (numbers.length !== size * (width + 2)) throw new Error(`${FILE} is not whole: ${numbers.length} numbers for ${size} items`);
  const part = (from, to) => numbers.subarray(from * size, to * size);
  const places = new Map(facts.items.map((item, place) => [item.item_id, place]));
  return { ...facts, size, places, table: part(0, width), noise: part(width, width + 1), rate: part(width + 1, width + 2) };
}
