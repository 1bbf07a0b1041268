const FULL = 6; // nats at which a token has the darkest tint

function percent(p) {
  // As `percent` in figures.py.
  if (p > 0 && p < 0.00005) return "<0.01%";
  return `${(100 * p).toFixed(p > 0 && p < 0.00995 ? 2 : 1)}%`;
}

function bar({ token, p, own }) {
  const row = make("div", "lessons-guess"), amount = make("div", "lessons-weight"), line = make("div", "lessons-bar");
  line.style.width = `${160 * p}px`;
  amount.append(line, make("span", "", percent(p)));
  row.append(make("div", `lessons-token lessons-seen${own ? " lessons-own" : ""}`, token), amount);
  return row;
}

function render({ model, el }) {
  const root = frame(el), line = make("div", "lessons-losses"), caption = make("p"), bars = make("div");
  caption.setAttribute("aria-live", "polite");
  root.append(line, caption, bars);
  let buttons = [], rows = [];
  const show = (i) => {
    buttons.forEach((each, k) => each.setAttribute("aria-pressed", String(k === i)));
    caption.textContent = rows.length ? rows[i].words : model.get("message");
    bars.replaceChildren(...(rows.length ? rows[i].best.map(bar) : []));
  };
  const pin = (i) => (i === model.get("focus") ? show(i) : send(model, "focus", i));
  const fill = () => {
    rows = model.get("rows");
    buttons = rows.map((row, i) => {
      const each = button("lessons-token", row.token);
      if (row.loss !== null) {
        each.style.background = `rgba(213, 94, 0, ${0.55 * Math.min(1, row.loss / FULL)})`;
        each.append(make("small", "", row.loss.toFixed(1)));
      }
      each.addEventListener("pointerenter", () => show(i));
      each.addEventListener("focus", () => pin(i));
      each.addEventListener("click", () => pin(i));
      return each;
    });
    line.replaceChildren(...buttons);
    if (buttons.length) rove(buttons, model.get("focus"));
    show(model.get("focus"));
  };
  line.addEventListener("pointerleave", () => show(model.get("focus")));
  const stops = [follow(model, ["rows"], fill), follow(model, ["focus"], () => show(model.get("focus")))];
  return () => stops.forEach((stop) => stop());
}

export default { render };
