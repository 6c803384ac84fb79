// The page's words, by the browser's first language that there is one of.
const all = {
  en: {
    title: "Board", people: "People here", note: "Write a note", pin: "Pin", remove: "Take down",
    empty: "Nothing is pinned yet. The first note is yours.", lead: "A board for everybody who is here. Say your name, then scan.",
    name: "Your name", go: "Go on", connected: "live", connecting: "connecting…", offline: "Connection lost, trying again…",
    again: "Your sign-in has ended. Scan again to go on.", full: "The board is full. Take a note down first.", refused: "That did not work. Try again.",
  },
  zh: {
    title: "便签板", people: "在线的人", note: "写一张便签", pin: "贴上", remove: "取下",
    empty: "还没有便签，第一张由你来写。", lead: "在线的人共用一块便签板。填写名字，然后扫码。",
    name: "你的名字", go: "继续", connected: "已连接", connecting: "正在连接…", offline: "网络已断开，正在重连…",
    again: "登录已到期，请重新扫码。", full: "便签板已满，请先取下一张。", refused: "操作失败，请重试。",
  },
};
export const language = navigator.languages.map((l) => l.slice(0, 2)).find((l) => l in all) ?? "en";
export const say = (word) => all[language][word];

document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
for (const e of document.querySelectorAll("[data-word]")) e.textContent = say(e.dataset.word);
for (const e of document.querySelectorAll("[data-label]")) e.setAttribute("aria-label", say(e.dataset.label));
for (const e of document.querySelectorAll("[data-placeholder]")) e.placeholder = say(e.dataset.placeholder);
document.title = say("title");
