"use strict";
// One image at any zoom, down to single pixels. A picture pixel (x, y) is the square from (x, y) to (x + 1, y + 1).

const stage = (() => {
  const MOST_ZOOM = 64;
  const GRID_ZOOM = 12; // from here on the borders of pixels are drawn
  const MOST_NAMES = 150;
  const box = document.getElementById("stage");
  const canvas = draw("svg", { class: "stage-canvas", "aria-hidden": "true" });
  const hatches = marks.patterns("view");
  const lines = draw("pattern", { id: "view-pixels", width: 1, height: 1, patternUnits: "userSpaceOnUse" });
  const line = draw("path", { d: "M1 0H0V1", class: "pixel-line" });
  const world = draw("g");
  const labels = make("div", { className: "stage-names", "aria-hidden": "true" });
  const pointers = new Map();
  let size = [1, 1];
  let place = { zoom: 1, x: 0, y: 0 }; // screen pixels for one of the picture; the picture's point in the middle
  let fitted = true;
  let names = [];
  let full = null;
  let pixels = null;
  let told = { moved() {}, pointed() {} };

  lines.append(line);
  hatches.append(lines);
  canvas.append(hatches, world);
  box.append(canvas, labels);

  const ruler = document.createElement("canvas").getContext("2d");
  ruler.font = "12px system-ui, sans-serif";
  const measureText = (text) => ruler.measureText(text).width;

  const room = () => [box.clientWidth || 1, box.clientHeight || 1];

  function fitZoom() {
    const [w, h] = room();
    return Math.min((w - 24) / size[0], (h - 24) / size[1], MOST_ZOOM);
  }

  /** Place of the picture's top left corner on the stage, on whole screen pixels so that edges stay sharp. */
  function corner() {
    const [w, h] = room();
    const dots = devicePixelRatio || 1;
    return [w / 2 - place.x * place.zoom, h / 2 - place.y * place.zoom].map((value) => Math.round(value * dots) / dots);
  }

  function apply() {
    const [x, y] = corner();
    const { zoom } = place;
    world.setAttribute("transform", `matrix(${zoom} 0 0 ${zoom} ${x} ${y})`);
    for (const pattern of hatches.children) if (pattern !== lines) pattern.setAttribute("patternTransform", `scale(${1 / zoom})`);
    line.setAttribute("stroke-width", String(1 / zoom));
    if (pixels) pixels.setAttribute("visibility", zoom >= GRID_ZOOM ? "visible" : "hidden");
    world.classList.toggle("magnified", zoom > 1);
    const [w, h] = room();
    placeNames(x, y, zoom);
  }

  /** Put class names at their boxes, those of large instances first; one that would cover another waits for more zoom. */
  function placeNames(x, y, zoom) {
    const [w, h] = room();
    const taken = [];
    for (const name of names) {
      name.width ??= Math.min(240, measureText(name.element.textContent) + 14);
      const left = Math.round(Math.max(x + name.box[0] * zoom, 0));
      const bottom = Math.round(Math.max(y + name.box[1] * zoom - 3, 19));
      const seen = x + name.box[2] * zoom > 0 && y + name.box[3] * zoom > 0 && left < w && bottom - 18 < h;
      const spot = [left, bottom - 19, left + name.width, bottom];
      const free = taken.every((other) => spot[0] > other[2] || spot[2] < other[0] || spot[1] > other[3] || spot[3] < other[1]);
      name.element.hidden = !seen || !free;
      if (!seen || !free) continue;
      taken.push(spot);
      name.element.style.transform = `translate(${left}px, ${spot[1]}px)`;
    }
  }

  function set(next, note = true) {
    const [w, h] = size;
    const low = Math.min(fitZoom(), 1) / 2;
    const rounded = (value) => Math.round(value * 1000) / 1000; // as the address holds it
    place = {
      zoom: rounded(Math.min(Math.max(next.zoom, low), MOST_ZOOM)),
      x: rounded(Math.min(Math.max(next.x, 0), w)),
      y: rounded(Math.min(Math.max(next.y, 0), h)),
    };
    fitted = false;
    apply();
    if (note) told.moved(place, false);
  }

  function fit(note = true) {
    place = { zoom: fitZoom(), x: size[0] / 2, y: size[1] / 2 };
    fitted = true;
    apply();
    if (note) told.moved(place, true);
  }

  /** Zoom so that the point of the picture under a point of the stage stays there. */
  function zoomAt(factor, point) {
    const [w, h] = room();
    const [sx, sy] = point || [w / 2, h / 2];
    const before = place.zoom;
    const low = Math.min(fitZoom(), 1) / 2;
    const zoom = Math.min(Math.max(before * factor, low), MOST_ZOOM);
    const [dx, dy] = [sx - w / 2, sy - h / 2];
    set({ zoom, x: place.x + dx / before - dx / zoom, y: place.y + dy / before - dy / zoom });
  }

  const pan = (dx, dy) => set({ zoom: place.zoom, x: place.x - dx / place.zoom, y: place.y - dy / place.zoom });

  function onStage(event) {
    const bounds = box.getBoundingClientRect();
    return [event.clientX - bounds.left, event.clientY - bounds.top];
  }

  function pixelAt([sx, sy]) {
    const [x, y] = corner();
    const found = [Math.floor((sx - x) / place.zoom), Math.floor((sy - y) / place.zoom)];
    return found[0] >= 0 && found[1] >= 0 && found[0] < size[0] && found[1] < size[1] ? found : null;
  }

  function onMove(event) {
    const now = onStage(event);
    const before = pointers.get(event.pointerId);
    if (before) {
      const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      if (others.length) {
        const [still] = others;
        const spread = (at) => Math.hypot(at[0] - still[0], at[1] - still[1]) || 1;
        zoomAt(spread(now) / spread(before), [(now[0] + still[0]) / 2, (now[1] + still[1]) / 2]);
        pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
      } else pan(now[0] - before[0], now[1] - before[1]);
      pointers.set(event.pointerId, now);
    }
    told.pointed(pixelAt(now), event.target.dataset);
  }

  function release(event) {
    pointers.delete(event.pointerId);
    box.classList.toggle("dragging", pointers.size > 0);
  }

  box.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    box.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, onStage(event));
    box.classList.add("dragging");
    told.pointed(pixelAt(onStage(event)), event.target.dataset);
  });
  box.addEventListener("pointermove", onMove);
  for (const name of ["pointerup", "pointercancel"]) box.addEventListener(name, release);
  box.addEventListener("pointerleave", () => { if (!pointers.size) told.pointed(null); });
  box.addEventListener("wheel", (event) => {
    event.preventDefault();
    const step = event.deltaY * (event.deltaMode ? 24 : 1);
    zoomAt(Math.exp(-Math.max(-240, Math.min(240, step)) / 300), onStage(event));
    told.pointed(pixelAt(onStage(event)), event.target.dataset);
  }, { passive: false });
  box.addEventListener("dblclick", (event) => (place.zoom < 8 ? zoomAt(8 / place.zoom, onStage(event)) : fit()));
  new ResizeObserver(() => (fitted ? fit(false) : apply())).observe(box);

  function picture(position) {
    const [width, height] = size;
    const frame = { width, height, preserveAspectRatio: "none" };
    world.append(draw("rect", { width, height, class: "no-picture" }));
    if (!defectkit.data.columns.image[position]) return;
    const rough = draw("image", { ...frame, href: defectkit.thumbnail(position) });
    full = draw("image", { ...frame, class: "picture" });
    full.addEventListener("load", () => rough.remove());
    full.addEventListener("error", () => rough.classList.add("failed"));
    full.setAttribute("href", defectkit.image(position));
    world.append(rough, full);
  }

  /** Show an image without its marks yet. */
  function open(position, where) {
    size = defectkit.data.columns.size[position];
    if (!size[0]) size = [256, 256]; // nothing could be read: an empty canvas
    full = pixels = null;
    names = [];
    world.replaceChildren();
    labels.replaceChildren();
    picture(position);
    if (where) set(where, false);
    else fit(false);
    told.moved(place, fitted);
  }

  function name(text, number, box) {
    const element = make("span", { className: "stage-name" }, text);
    element.style.background = marks.colourOf(number);
    element.style.color = marks.inkOn(marks.colourOf(number));
    names.push({ element, box });
    labels.append(element);
  }

  /** Draw the labels of the image that is shown. */
  function mark(position, detail) {
    const { classNumbers, columns, classes } = defectkit.data;
    const group = draw("g");
    detail.instances.forEach((one, number) => {
      const own = draw("g");
      const [x0, y0, x1, y1] = one.box;
      const box = `M${x0} ${y0}H${x1}V${y1}H${x0}z`;
      const shapes = {
        fill: one.fill,
        alone: !one.fill && reasonless("o") ? box : "",
        box: reasonless("b") ? box : "",
        oriented: one.oriented,
      };
      marks.ofLabels(own, shapes, classNumbers.get(one.class));
      for (const path of own.children) path.dataset.instance = number;
      own.dataset.number = number;
      group.append(own);
    });
    const large = [...detail.instances].sort((a, b) => b.area - a.area).slice(0, MOST_NAMES);
    for (const one of large) name(one.class, classNumbers.get(one.class), one.box);
    if (defectkit.data.shapes === "classes") for (const number of columns.classes[position]) name(classes[number], number, [0, 0, ...size]);
    if (detail.source) marks.ofSource(group, detail.source, "view");
    marks.ofDifference(group, detail.lost?.path, detail.gained?.path, "view");
    marks.ofRenamed(group, detail.renamed, "view", (label) => classNumbers.get(label) ?? -1);
    pixels = draw("rect", { width: size[0], height: size[1], fill: "url(#view-pixels)", class: "pixel-grid" });
    group.append(pixels);
    world.append(group);
    apply();
  }

  const reasonless = (letter) => !state.reasonOf(letter);

  return {
    open,
    mark,
    fit,
    zoomAt,
    pan,
    set,
    listen(listeners) { told = listeners; },
    /** Forget the image, so that closed views hold no memory. */
    clear() { world.replaceChildren(); labels.replaceChildren(); names = []; full = pixels = null; },
    place: () => place,
    isFitted: () => fitted,
    /** Bring out one instance; none for a number below 0. */
    choose(number) {
      for (const own of world.querySelectorAll("g[data-number]")) own.classList.toggle("chosen", Number(own.dataset.number) === number);
    },
    middle: () => [Math.floor(place.x), Math.floor(place.y)].map((value, axis) => Math.min(value, size[axis] - 1)),
    /** Bring a box x0, y0, x1, y1 of the picture into view. */
    show([x0, y0, x1, y1], most = 32) {
      const [w, h] = room();
      const zoom = Math.min((w * 0.6) / Math.max(x1 - x0, 1), (h * 0.6) / Math.max(y1 - y0, 1), most);
      set({ zoom: Math.max(zoom, fitZoom()), x: (x0 + x1) / 2, y: (y0 + y1) / 2 });
    },
  };
})();
