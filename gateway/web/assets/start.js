// The dot at the bottom: is the connection up, over which transport, how far.
const { client, path } = document.body.dataset;
const { io } = await import(client);

const words = JSON.parse(document.getElementById("dictionary").textContent);
const text = document.getElementById("live");
const distance = document.getElementById("distance"); // changes all the time: not spoken
const dot = text.parentElement;
const show = (state, detail = "") => {
  dot.dataset.live = state;
  if (text.textContent !== words[state]) text.textContent = words[state];
  distance.textContent = detail;
};

const socket = io({ path });
let timer;
const measure = () => {
  const sent = performance.now();
  socket.timeout(5000).emit("rtt", (late) => {
    if (!late && socket.connected) show("connected", `· ${socket.io.engine.transport.name} · ${(performance.now() - sent).toFixed(1)} ms`);
  });
};
socket.on("connect", () => {
  show("connected");
  measure();
  timer = setInterval(() => document.hidden || measure(), 3000);
});
socket.on("disconnect", () => {
  clearInterval(timer);
  show("disconnected");
});
socket.on("connect_error", ({ description }) => show(description === 403 ? "refused" : "disconnected"));
