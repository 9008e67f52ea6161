"use strict";
// The images that pass, of which only those near the window are in the page: tiles are used again for others.

const grid = (() => {
  const GAP = 16;
  const CAPTION = 46;
  const SPARE_ROWS = 1;
  const list = document.getElementById("grid");
  const tiles = new Map(); // place in the order -> tile
  const idle = [];
  let order = [];
  let columns = 1;
  let width = 0;
  let active = 0; // place of the tile that the Tab key reaches
  let open = () => {};
  let frame = 0;
  let marking = 0;

  const rowHeight = () => width + CAPTION + GAP;

  function makeTile() {
    const tile = {
      item: make("li", { role: "listitem" }),
      button: make("button", { type: "button", className: "tile" }),
      picture: make("img", { alt: "", draggable: false, decoding: "async" }),
      overlay: draw("svg", { "aria-hidden": "true", preserveAspectRatio: "xMidYMid meet" }),
      badge: make("span", { className: "badge" }),
      verdict: make("span", { className: "verdict" }),
      classes: make("span", { className: "classes" }),
      key: make("span", { className: "key" }),
      told: make("span", { className: "unseen" }), // what a screen reader says beside what is to be seen
      position: -1,
    };
    const canvas = make("span", { className: "canvas" }, tile.picture, tile.overlay, tile.badge, tile.verdict);
    tile.button.append(canvas, tile.classes, tile.key, tile.told);
    tile.item.append(tile.button);
    tile.picture.addEventListener("load", () => { tile.picture.hidden = false; });
    tile.button.addEventListener("click", () => open(tile.position));
    tile.button.addEventListener("focus", () => setActive(tile.place));
    return tile;
  }

  function caption(tile, position) {
    const { columns: column, classes, problems } = defectkit.data;
    const names = column.classes[position];
    tile.classes.replaceChildren(...names.slice(0, 2).map((number) => make("span", { className: "chip" }, marks.swatch(number), make("span", { className: "chip-name" }, classes[number]))));
    if (names.length > 2) tile.classes.append(make("span", { className: "muted" }, `+${names.length - 2}`));
    const subset = defectkit.data.subsets[column.subset[position]];
    if (subset) tile.classes.append(make("span", { className: "subset" }, subset));
    tile.key.replaceChildren(...cutInside(shortKey(column.key[position])));
    tile.button.title = column.key[position];
    const iou = column.iou[position];
    const problem = problems.get(position);
    const doubt = column.doubt[position];
    const suspect = column.suspect[position] >= 0.5 ? column.suspect[position] : null; // more speaks against it than for it
    tile.badge.hidden = !problem && (iou === null || iou === 1) && doubt === null && suspect === null;
    tile.badge.className = problem ? "badge problem" : "badge";
    const said = suspect !== null ? `suspect ${suspect.toFixed(2)}` : doubt !== null ? `doubt ${doubt.toFixed(2)}` : iou === null ? "" : `IoU ${shownIoU(iou)}`;
    tile.badge.textContent = problem ? "Problem" : said;
    if (problem) tile.classes.replaceChildren(make("span", { className: "problem-text" }, problem[0]));
    const verdict = column.decision[position] ? decisions.stateOf(position) : "";
    tile.verdict.hidden = !verdict;
    tile.verdict.textContent = verdict;
    tile.verdict.dataset.state = verdict;
    const told = [counted(column.instances[position], "instance")];
    if (column.area[position]) told.push(counted(column.area[position], "pixel"));
    if (iou !== null) told.push(`fidelity ${shownIoU(iou)}`);
    if (suspect !== null) told.push(`suspect ${suspect.toFixed(2)}`);
    if (doubt !== null) told.push(`doubt ${doubt.toFixed(2)}`);
    if (names.length > 2) told.push(names.slice(2).map((number) => classes[number]).join(", "));
    if (verdict) told.push(verdict);
    tile.told.textContent = `${told.join(", ")}, key ${column.key[position]}`;
  }

  /** Give a tile to an image. */
  function assign(tile, place) {
    const position = order[place];
    const moved = tile.place !== place;
    tile.place = place;
    if (moved || tile.total !== order.length) {
      tile.total = order.length;
      tile.item.setAttribute("aria-posinset", String(place + 1));
      tile.item.setAttribute("aria-setsize", String(order.length));
    }
    tile.button.tabIndex = place === active ? 0 : -1;
    const [x, y] = [(place % columns) * (width + GAP), Math.floor(place / columns) * rowHeight()];
    tile.item.style.transform = `translate(${x}px, ${y}px)`;
    tile.item.style.width = `${width}px`;
    if (tile.position === position) return;
    tile.position = position;
    const data = defectkit.data;
    const [w, h] = data.columns.size[position];
    const scale = Math.min(1, 256 / Math.max(w, h, 1));
    const [tw, th] = [Math.max(1, Math.round(w * scale)), Math.max(1, Math.round(h * scale))];
    tile.overlay.setAttribute("viewBox", `0 0 ${tw} ${th}`);
    tile.overlay.replaceChildren();
    tile.marked = false;
    tile.picture.hidden = true;
    tile.picture.classList.toggle("small", Math.max(w, h) < 96);
    if (data.columns.image[position]) tile.picture.src = defectkit.thumbnail(position);
    else {
      tile.picture.removeAttribute("src");
      tile.overlay.append(draw("rect", { width: tw, height: th, class: "no-picture" }));
    }
    caption(tile, position);
    mark(tile, defectkit.tileShelf.peek(Math.floor(position / data.chunk)));
  }

  /** Draw the labels on a tile, once they are here. */
  function mark(tile, chunk) {
    if (!chunk || tile.marked) return;
    tile.marked = true;
    const found = chunk[tile.position % defectkit.data.chunk];
    for (const one of found.marks || []) marks.ofLabels(tile.overlay, one, one.class);
    if (found.source) marks.ofSource(tile.overlay, found.source, "tile");
    marks.ofDifference(tile.overlay, found.lost, found.gained, "tile");
    marks.ofRenamed(tile.overlay, found.renamed, "tile", (number) => number);
  }

  /** Fetch what visible tiles lack; not while the page is being scrolled through. */
  function fetchMarks() {
    for (const tile of tiles.values()) {
      if (tile.marked) continue;
      const position = tile.position;
      defectkit.tileShelf.get(Math.floor(position / defectkit.data.chunk)).then((chunk) => {
        if (tile.position === position) mark(tile, chunk);
      });
    }
  }

  function measure() {
    const room = list.clientWidth;
    const least = room < 420 ? 140 : 176;
    columns = Math.max(1, Math.floor((room + GAP) / (least + GAP)));
    width = Math.floor((room - (columns - 1) * GAP) / columns);
    list.style.height = `${Math.ceil(order.length / columns) * rowHeight()}px`;
  }

  /** Put the tiles near the window in their places, and take the others out. */
  function render() {
    frame = 0;
    const top = -list.getBoundingClientRect().top;
    const first = Math.max(0, (Math.floor(top / rowHeight()) - SPARE_ROWS) * columns);
    const last = Math.min(order.length, (Math.ceil((top + innerHeight) / rowHeight()) + SPARE_ROWS) * columns);
    const wanted = new Set();
    for (let place = first; place < last; place++) wanted.add(place);
    if (active < order.length && order.length) wanted.add(active); // focus must not get lost
    for (const [place, tile] of tiles) {
      if (wanted.has(place)) continue;
      tiles.delete(place);
      idle.push(tile);
      tile.item.remove();
    }
    for (const place of [...wanted].sort((a, b) => a - b)) {
      let tile = tiles.get(place);
      if (!tile) {
        tile = idle.pop() || makeTile();
        tiles.set(place, tile);
        list.append(tile.item);
      }
      assign(tile, place);
    }
    idle.length = Math.min(idle.length, 2 * columns);
    clearTimeout(marking);
    marking = setTimeout(fetchMarks, 30);
  }

  function later() {
    if (!frame) frame = requestAnimationFrame(render);
  }

  function setActive(place) {
    if (place === active) return;
    active = place;
    for (const [other, tile] of tiles) tile.button.tabIndex = other === active ? 0 : -1;
    if (order.length) state.note({ at: place ? defectkit.data.columns.key[order[place]] : "" });
  }

  function scrollTo(place) {
    const bar = document.querySelector("header.bar").offsetHeight + 12;
    const top = Math.floor(place / columns) * rowHeight() + list.getBoundingClientRect().top + scrollY;
    if (top - bar < scrollY) window.scrollTo(0, top - bar);
    else if (top + rowHeight() > scrollY + innerHeight) window.scrollTo(0, top + rowHeight() - innerHeight);
  }

  /** Move focus to a place, wherever it is. */
  function focus(place) {
    if (!order.length) return;
    setActive(Math.min(Math.max(place, 0), order.length - 1));
    scrollTo(active);
    render();
    tiles.get(active).button.focus({ preventScroll: true });
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const page = Math.max(1, Math.floor(innerHeight / rowHeight())) * columns;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -page, PageDown: page }[event.key];
    if (step) {
      const goal = active + step;
      if (Math.abs(step) === 1 || (goal >= 0 && goal < order.length)) focus(goal);
      else if (event.key.startsWith("Page")) focus(goal);
    } else if (review.onKey(event.key, order[active], decisions.WHOLE, decided(order[active]))) {
      // it is said
    } else if (event.key === "Home") focus(0);
    else if (event.key === "End") focus(order.length - 1);
    else return;
    event.preventDefault();
  }

  /** What follows a decision on an image: the next one is to be decided on, wherever it stands by then. */
  function decided(position) {
    const next = order[active + 1];
    return (word) => {
      const place = order.indexOf(word && next !== undefined ? next : position);
      if (order.length) focus(place < 0 ? active : place);
    };
  }

  /** Say anew what is said of an image. */
  function refresh(position) {
    for (const tile of tiles.values()) if (tile.position === position) caption(tile, position);
  }

  /** Show other images, or the same in another order. */
  function show(positions, at) {
    const focused = list.contains(document.activeElement);
    const kept = order[active];
    order = positions;
    const wanted = at !== undefined ? at : kept;
    active = Math.max(0, order.indexOf(wanted));
    measure();
    render();
    if (at !== undefined && at !== null) scrollTo(active);
    if (focused) tiles.get(active)?.button.focus({ preventScroll: true });
  }

  function start(onOpen) {
    open = onOpen;
    list.before(draw("svg", { width: 0, height: 0, class: "defs", "aria-hidden": "true" }, marks.patterns("tile")));
    list.addEventListener("keydown", onKey);
    addEventListener("scroll", later, { passive: true });
    new ResizeObserver(() => { measure(); later(); }).observe(list.parentElement);
    addEventListener("resize", later);
  }

  return {
    start,
    show,
    focus,
    refresh,
    focusActive: () => focus(active),
    placeOf: (position) => order.indexOf(position),
    at: (place) => order[place],
    size: () => order.length,
  };
})();
