const MASK = "[MASK]";

// A click on a word masks it; on a masked one, shows it; on the one shown, gives the word back. The last one is shown.
function after(masked, i) {
  const others = masked.filter((place) => place !== i);
  return masked.at(-1) === i ? others : [...others, i];
}

function render({ model, el }) {
  const root = frame(el), row = make("div", "lessons-words");
  root.append(row);
  let buttons = [];
  const mark = () => {
    const masked = model.get("value"), words = model.get("words");
    buttons.forEach((each, i) => {
      each.textContent = masked.includes(i) ? MASK : words[i];
      each.setAttribute("aria-pressed", String(masked.includes(i)));
      each.classList.toggle("lessons-shown", masked.at(-1) === i);
      each.title = masked.includes(i) ? `masked: ${words[i]}` : "mask this word";
    });
  };
  const fill = () => {
    buttons = model.get("words").map((word, i) => {
      const each = button("lessons-token", word);
      each.addEventListener("click", () => send(model, "value", after(model.get("value"), i)));
      return each;
    });
    row.replaceChildren(...buttons);
    rove(buttons, 0);
    mark();
  };
  const stops = [follow(model, ["words"], fill), follow(model, ["value"], mark)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
