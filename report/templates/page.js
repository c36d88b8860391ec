"use strict";

/* Tables: a heading's button sorts by its column, numbers by size, text by letter. */
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.v !== undefined ? cell.dataset.v : cell.textContent.trim();
    const number = Number(text);
    return text === "" ? null : Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
  headings.forEach((heading, column) => {
    const button = heading.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      for (const other of headings) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
      rows.sort(([a], [b]) => (a === null ? (b === null ? 0 : 1) : b === null ? -1 : sign * compare(a, b)));
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  });
}

/* The scatter of the codes. */
const plot = document.getElementById("plot");
if (plot) {
  const data = JSON.parse(document.getElementById("points").textContent);
  const [width, height, columns, rows] = data.size;
  const svg = plot.querySelector("svg");
  const ring = document.getElementById("ring");
  const off = new Set();
  let chosen = -1;
  const visible = () => data.points.map((_, place) => place).filter((place) => !off.has(data.points[place][2]));

  const showCell = (id, place) => {
    const cell = document.getElementById(id);
    const wide = 104, high = Math.round((104 * height) / width);
    cell.style.height = `${high}px`;
    cell.style.backgroundSize = `${columns * wide}px ${rows * high}px`;
    cell.style.backgroundPosition = `${-(place % columns) * wide}px ${-Math.floor(place / columns) * high}px`;
  };

  const choose = (place) => {
    if (place === chosen) return;
    chosen = place;
    const pair = document.querySelector(".pair");
    pair.hidden = place < 0;
    const text = document.getElementById("card-text");
    if (place < 0) {
      ring.setAttribute("cx", -99);
      text.textContent = "No point is chosen.";
      return;
    }
    const [x, y, label, split, name, error] = data.points[place];
    ring.setAttribute("cx", x);
    ring.setAttribute("cy", y);
    text.textContent = `${data.classes[label]}\n${name} (${data.splits[split]})\nerror ${error}`;
    showCell("cell-original", place);
    showCell("cell-made", place);
  };

  const nearest = (places, cost) => {
    let found = -1, least = Infinity;
    for (const place of places) {
      const own = cost(data.points[place]);
      if (own < least) [found, least] = [place, own];
    }
    return found;
  };

  const pointAt = (event) => {
    const box = svg.getBoundingClientRect();
    const scale = 640 / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    const place = nearest(visible(), (point) => Math.hypot(point[0] - x, point[1] - y));
    if (place >= 0 && Math.hypot(data.points[place][0] - x, data.points[place][1] - y) < 24 * scale) choose(place);
  };
  plot.addEventListener("pointermove", pointAt);
  plot.addEventListener("pointerdown", pointAt);

  const worst = () => nearest(visible(), (point) => -point[5]);
  const towards = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  plot.addEventListener("keydown", (event) => {
    if (event.key === "Home") choose(worst());
    else if (event.key === "Escape") choose(-1);
    else if (event.key in towards) {
      if (chosen < 0) choose(worst());
      else {
        const [right, down] = towards[event.key];
        const [x, y] = data.points[chosen];
        const others = visible().filter((place) => {
          const ahead = (data.points[place][0] - x) * right + (data.points[place][1] - y) * down;
          return ahead > 0.05;
        });
        const found = nearest(others, (point) => {
          const ahead = (point[0] - x) * right + (point[1] - y) * down;
          const aside = Math.abs((point[0] - x) * down) + Math.abs((point[1] - y) * right);
          return ahead + 2 * aside;
        });
        if (found >= 0) choose(found);
      }
    } else return;
    event.preventDefault();
  });
  plot.addEventListener("focus", () => { if (chosen < 0) choose(worst()); });

  const boxes = [...document.querySelectorAll(".boxes input")];
  const showClasses = () => {
    off.clear();
    for (const box of boxes) {
      const label = Number(box.dataset.class);
      if (!box.checked) off.add(label);
      svg.querySelector(`.dots[data-class="${label}"]`).style.display = box.checked ? "" : "none";
    }
    if (chosen >= 0 && off.has(data.points[chosen][2])) choose(-1);
  };
  for (const box of boxes) box.addEventListener("change", showClasses);
  for (const [id, checked] of [["all", true], ["none", false]]) {
    document.getElementById(id).addEventListener("click", () => {
      for (const box of boxes) box.checked = checked;
      showClasses();
    });
  }
}
