const ROW = 24, WIDE = 140, BAR = 90, FAINT = 0.04;
const SVG = "http://www.w3.org/2000/svg";

// As `percent` in figures.py.
function percent(p) {
  if (p > 0 && p < 0.00005) return "<0.01%";
  return `${(100 * p).toFixed(p > 0 && p < 0.00995 ? 2 : 1)}%`;
}

// weights(layer, head) → rows of numbers; layers and heads from 1, head 0 is the mean of all.
function reader(model, n) {
  const bytes = model.get("weights"), heads = model.get("n_heads");
  const number = (layer, head, i, j) => bytes.getUint16(2 * ((((layer - 1) * heads + head - 1) * n + i) * n + j), true) / 65535;
  const all = Array.from({ length: heads }, (_, k) => k + 1);
  return (layer, head) => {
    const chosen = head ? [head] : all;
    const mean = (i, j) => chosen.reduce((sum, each) => sum + number(layer, each, i, j), 0) / chosen.length;
    return Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => mean(i, j)));
  };
}

function choice(model, name, options) {
  const label = make("label", "", name), select = make("select");
  for (const [value, text] of options) {
    const option = make("option", "", text);
    option.value = value;
    select.append(option);
  }
  select.addEventListener("change", () => send(model, name, Number(select.value)));
  label.append(select);
  return { label, select };
}

function thumbnail(rows) {
  const canvas = make("canvas"), n = rows.length;
  canvas.width = canvas.height = n;
  const paint = canvas.getContext("2d");
  rows.forEach((row, i) =>
    row.forEach((weight, j) => {
      paint.fillStyle = `rgba(51, 144, 204, ${Math.sqrt(weight)})`;
      paint.fillRect(j, i, 1, 1);
    }),
  );
  return canvas;
}

function line(i, j, opacity, className = "") {
  const element = document.createElementNS(SVG, "line");
  const ends = { x1: 0, y1: (i + 0.5) * ROW, x2: WIDE, y2: (j + 0.5) * ROW, "stroke-opacity": opacity, class: className };
  for (const [name, value] of Object.entries(ends)) element.setAttribute(name, value);
  return element;
}

function column(name, parts) {
  const element = make("div");
  element.append(make("div", "lessons-name", name), ...parts);
  return element;
}

function render({ model, el }) {
  const tokens = model.get("tokens"), n = tokens.length, heads = model.get("n_heads");
  const read = reader(model, n), root = frame(el);
  const headNames = [[0, `mean of ${heads}`], ...Array.from({ length: heads }, (_, k) => [k + 1, `${k + 1}`])];
  const layer = choice(model, "layer", Array.from({ length: model.get("n_layers") }, (_, k) => [k + 1, `${k + 1}`]));
  const head = choice(model, "head", headNames);
  const glance = make("div", "lessons-heads"), caption = make("p");
  glance.setAttribute("aria-label", "all heads of this layer");
  caption.setAttribute("aria-live", "polite");

  const looking = tokens.map((token) => button("lessons-token", token));
  const lines = document.createElementNS(SVG, "svg");
  lines.setAttribute("height", n * ROW);
  const seen = tokens.map((token) => make("div", "lessons-token lessons-seen", token));
  const bars = tokens.map(() => make("div", "lessons-bar")), numbers = tokens.map(() => make("span"));
  const amounts = tokens.map((_, j) => {
    const row = make("div", "lessons-weight");
    row.append(bars[j], numbers[j]);
    return row;
  });
  [looking, seen].forEach((list) => list.forEach((each, i) => (each.title = tokens[i])));
  const columns = make("div", "lessons-columns");
  columns.append(column("looks", looking), column("", [lines]), column("is looked at", seen), column("weight", amounts));
  root.append(layer.label, ...(heads > 1 ? [head.label, glance] : []), columns, caption);

  let weights = [];
  const faint = (i) =>
    weights.flatMap((row, k) =>
      k === i ? [] : row.flatMap((w, j) => (w > FAINT ? [line(k, j, 0.2 * w, "lessons-faint")] : [])),
    );
  const show = (i) => {
    const row = weights[i];
    looking.forEach((each, k) => each.setAttribute("aria-pressed", String(k === i)));
    lines.replaceChildren(...faint(i), ...row.map((weight, j) => line(i, j, Math.sqrt(weight))));
    row.forEach((weight, j) => {
      bars[j].style.width = `${BAR * weight}px`;
      numbers[j].textContent = percent(weight);
    });
    const order = row.map((_, j) => j).sort((a, b) => row[b] - row[a]).slice(0, 3);
    const most = order.filter((j) => row[j] > 0).map((j) => `“${tokens[j]}” ${percent(row[j])}`);
    caption.textContent = `“${tokens[i]}” looks most at ${most.join(", ")}.`;
  };
  const pin = (i) => (i === model.get("focus") ? show(i) : send(model, "focus", i));
  looking.forEach((each, i) => {
    each.addEventListener("pointerenter", () => show(i));
    each.addEventListener("focus", () => pin(i));
    each.addEventListener("click", () => pin(i));
  });
  looking[0].parentElement.addEventListener("pointerleave", () => show(model.get("focus")));
  rove(looking, model.get("focus"));

  const drawHeads = () =>
    glance.replaceChildren(
      ...headNames.map(([value]) => {
        const each = button("", "");
        each.setAttribute("aria-pressed", String(value === model.get("head")));
        each.setAttribute("aria-label", value ? `head ${value}` : "mean of all heads");
        each.append(thumbnail(read(model.get("layer"), value)), value ? `${value}` : "mean");
        each.addEventListener("click", () => {
          send(model, "head", value);
          glance.children[value].focus();
        });
        return each;
      }),
    );
  const stops = [
    follow(model, ["layer", "head"], () => {
      [layer.select.value, head.select.value] = [model.get("layer"), model.get("head")];
      weights = read(model.get("layer"), model.get("head"));
      drawHeads();
      show(model.get("focus"));
    }),
    follow(model, ["focus"], () => show(model.get("focus"))),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
