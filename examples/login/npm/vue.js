import { defineComponent, h, onMounted } from "vue";
import { loadLogin } from "./index.js";

const events = ["token", "code", "state", "failure"];

export const PosthouseLogin = defineComponent({
  name: "PosthouseLogin",
  props: { gateway: { type: String, required: true }, account: String, lang: String, theme: String, challenge: String },
  emits: events,
  setup(props, { emit }) {
    onMounted(() => loadLogin(props.gateway).catch((error) => emit("failure", { code: "unavailable", message: error.message })));
    const listeners = {};
    for (const type of events) listeners["on" + type[0].toUpperCase() + type.slice(1)] = ({ detail }) => emit(type, detail);
    return () => {
      const { gateway, ...attributes } = props;
      return h("posthouse-login", { ...attributes, src: gateway, ...listeners });
    };
  },
});
