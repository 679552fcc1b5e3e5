// Writes PNGs. A canvas would do it too, but premultiplies: colours would be lost where alpha is
// small.

const BLOCK = 2 ** 20; // bytes that are filtered at a time

const CRCS = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});

/** Encodes RGBA, a Uint8ClampedArray [height, width, 4], exactly; returns a Blob. */
export async function encodePng(pixels, [height, width]) {
  const stream = new CompressionStream('deflate');
  const written = writeRows(stream.writable.getWriter(), pixels, 4 * width);
  const header = new DataView(new ArrayBuffer(13));
  header.setUint32(0, width);
  header.setUint32(4, height);
  header.setUint16(8, 0x0806); // 8 bits, RGBA
  const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
  const parts = [signature, ...makeChunk('IHDR', new Uint8Array(header.buffer))];
  const reader = stream.readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(...makeChunk('IDAT', value));
  }
  await written;
  parts.push(...makeChunk('IEND', new Uint8Array()));
  return new Blob(parts, { type: 'image/png' });
}

/** Every row as its difference from the one above, PNG's filter 2. */
async function writeRows(writer, pixels, length) {
  const count = pixels.length / length;
  const most = Math.max(1, Math.floor(BLOCK / length));
  for (let top = 0; top < count; top += most) {
    const rows = Math.min(most, count - top);
    const block = new Uint8Array(rows * (length + 1));
    for (let row = 0; row < rows; row++) {
      const to = row * (length + 1);
      const from = (top + row) * length;
      block[to] = 2;
      for (let i = 0; i < length; i++) {
        const above = from < length ? 0 : pixels[from - length + i];
        block[to + 1 + i] = pixels[from + i] - above;
      }
    }
    await writer.write(block);
  }
  await writer.close();
}

function makeChunk(name, content) {
  const head = new DataView(new ArrayBuffer(8));
  head.setUint32(0, content.length);
  [...name].forEach((letter, i) => head.setUint8(4 + i, letter.charCodeAt(0)));
  const end = new DataView(new ArrayBuffer(4));
  const crc = updateCrc(updateCrc(-1, new Uint8Array(head.buffer, 4)), content);
  end.setUint32(0, ~crc);
  return [head.buffer, content, end.buffer];
}

function updateCrc(crc, bytes) {
  for (let i = 0; i < bytes.length; i++) crc = CRCS[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return crc;
}
