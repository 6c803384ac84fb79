// The words of the page, in the reader's language.
const all = {
  en: {
    title: "Chat", rooms: "Rooms", openRoom: "Open a room", open: "Open", leave: "Leave", people: "In this room",
    messages: "Messages", send: "Send", who: "What should we call you?", whoHint: "Others see this name. You can change it at any time.",
    name: "Name", enter: "Enter", you: "you", write: "Message #{room}", empty: "Nothing here yet. Say hello.",
    online: "{n} online", connecting: "Connecting…", connected: "Connected", reconnecting: "Reconnecting…",
    offline: "Connection lost. What you write is sent when it is back.", back: "Back. Nothing was missed.",
    backWith: "Back. {n} new while you were away.", fresh: "Back after a while. Older messages may be missing.",
    typing1: "{a} is typing…", typing2: "{a} and {b} are typing…", typing3: "Several people are typing…",
    sending: "Sending", failed: "Not sent", retry: "Try again", newer: "New messages", unread: "{n} unread", left: "{n} left",
    rename: "{name}: change your name", says: "{name}: {text}", refused: "The server does not take this name.",
    bad_room: "A room needs a name of 1 to 32 characters.", too_many_rooms: "You are in 20 rooms: leave one first.",
    rate_limited: "That was quick. Wait a moment.", bad_name: "A name has 1 to 24 characters.", trouble: "That did not work. Try again.",
  },
  "zh-CN": {
    title: "聊天室", rooms: "房间", openRoom: "进入房间", open: "进入", leave: "离开", people: "在线的人",
    messages: "消息", send: "发送", who: "怎么称呼你？", whoHint: "其他人会看到这个名字，之后可以随时修改。",
    name: "昵称", enter: "进入聊天", you: "我", write: "发消息到 #{room}", empty: "还没有消息，打个招呼吧。",
    online: "{n} 人在线", connecting: "正在连接…", connected: "已连接", reconnecting: "正在重连…",
    offline: "连接已断开，恢复后会自动发送你写的消息。", back: "已恢复连接，没有错过消息。",
    backWith: "已恢复连接，期间有 {n} 条新消息。", fresh: "离开了一段时间，较早的消息可能已不在。",
    typing1: "{a} 正在输入…", typing2: "{a} 和 {b} 正在输入…", typing3: "好几个人正在输入…",
    sending: "发送中", failed: "未发送", retry: "重试", newer: "新消息", unread: "{n} 条未读", left: "还可输入 {n} 字",
    rename: "{name}：修改昵称", says: "{name}：{text}", refused: "服务器不接受这个昵称。",
    bad_room: "房间名需为 1 到 32 个字。", too_many_rooms: "你已在 20 个房间中，请先离开一个。",
    rate_limited: "太快了，请稍等片刻。", bad_name: "昵称需为 1 到 24 个字。", trouble: "没有成功，请再试一次。",
  },
};

export const language = navigator.language.toLowerCase().startsWith("zh") ? "zh-CN" : "en";

/** say returns a phrase with its {places} filled. */
export function say(key, places = {}) {
  return (all[language][key] ?? all[language].trouble).replace(/\{(\w+)\}/g, (_, name) => places[name]);
}

/** translate fills what the HTML marks. */
export function translate() {
  document.documentElement.lang = language;
  for (const e of document.querySelectorAll("[data-word]")) e.textContent = say(e.dataset.word);
  for (const e of document.querySelectorAll("[data-label]")) e.ariaLabel = say(e.dataset.label);
  for (const e of document.querySelectorAll("[data-title]")) e.title = say(e.dataset.title);
  for (const e of document.querySelectorAll("[data-placeholder]")) e.placeholder = say(e.dataset.placeholder);
}
