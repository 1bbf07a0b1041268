// Shared by the explorers whose tokens answer to a pointer or a key. Text goes in as text, never as markup.

function make(tag, className = "", text = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function button(className, text) {
  const element = make("button", className, text);
  element.type = "button";
  return element;
}

// An empty frame whose keys are its own: JupyterLab's shortcuts for cells stop at it.
function frame(el) {
  const root = make("div", "lessons-tokens");
  root.setAttribute("data-lm-suppress-shortcuts", "true");
  el.append(root);
  return root;
}

// One stop of the Tab key for all buttons; the arrow keys, Home and End move among them.
function rove(buttons, current) {
  const stop = (i) => buttons.forEach((each, k) => (each.tabIndex = k === i ? 0 : -1));
  buttons.forEach((each, i) => {
    each.addEventListener("focus", () => stop(i));
    each.addEventListener("keydown", (event) => {
      const last = buttons.length - 1;
      const places = { ArrowUp: i - 1, ArrowLeft: i - 1, ArrowDown: i + 1, ArrowRight: i + 1, Home: 0, End: last };
      if (!Object.hasOwn(places, event.key)) return;
      event.preventDefault();
      buttons[Math.min(Math.max(places[event.key], 0), last)].focus();
    });
  });
  stop(current);
}

// Call `update` now and whenever one of `names` changes; the answer ends that.
function follow(model, names, update) {
  const events = names.map((name) => `change:${name}`);
  events.forEach((event) => model.on(event, update));
  update();
  return () => events.forEach((event) => model.off(event, update));
}

function send(model, name, value) {
  model.set(name, value);
  model.save_changes();
}
