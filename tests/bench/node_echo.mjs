// The peer that ferry's UDP echo is compared with: both ends on Node.js, doing the same work.
//
//   node node_echo.mjs server
//   node node_echo.mjs client PORT COUNT SIZE WINDOW
//
// The server prints its port, the client an object with what it sent, received, and the seconds.
import { createSocket } from "node:dgram";

const [role, port, ...numbers] = process.argv.slice(2);
const socket = createSocket("udp4");

if (role === "server") {
  socket.on("message", (bytes, from) => {
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] >= 97 && bytes[i] <= 122) bytes[i] -= 32;
    }
    socket.send(bytes, from.port, from.address);
  });
  socket.bind(0, "127.0.0.1", () => console.log(socket.address().port));
} else {
  const [count, size, window] = numbers.map(Number);
  const letters = Buffer.alloc(size, "abcdefghijklmnopqrstuvwxyz");
  const expected = Buffer.from(letters.toString().toUpperCase());
  const sentAt = new Map();
  const times = { min: Infinity, max: 0, sum: 0 };
  let [sent, received] = [0, 0];
  const send = () => {
    const bytes = Buffer.from(letters);
    bytes.write(String(++sent).padStart(10, "0"), "latin1");
    sentAt.set(sent, performance.now());
    socket.send(bytes, Number(port), "127.0.0.1");
  };
  const started = performance.now();
  let last = started;
  const end = () => {
    console.log(JSON.stringify({ sent, received, seconds: (last - started) / 1000, ...times }));
    process.exit(0);
  };
  // What is lost is not waited for: the run ends when nothing has come for a while.
  const quiet = setTimeout(end, 2000);
  socket.on("message", (bytes) => {
    last = performance.now();
    const sequence = Number(bytes.toString("latin1", 0, 10));
    const rtt = last - sentAt.get(sequence);
    sentAt.delete(sequence);
    if (bytes.compare(expected, 10, size, 10, size) !== 0) throw new Error("that is no echo");
    times.min = Math.min(times.min, rtt);
    times.max = Math.max(times.max, rtt);
    times.sum += rtt;
    received++;
    if (received % 1000 === 0) quiet.refresh();
    if (sent < count) send();
    else if (received === count) end();
  });
  while (sent < Math.min(window, count)) send();
}
