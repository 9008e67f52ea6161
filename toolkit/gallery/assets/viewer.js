"use strict";
// The full view: a dialog with one image, its layers, what is known of it, and the way to its neighbours.

const viewer = (() => {
  const byId = (id) => document.getElementById(id);
  const dialog = byId("viewer");
  const title = byId("viewer-title");
  const MOST_LISTED = 200;
  let position = -1;
  let detail = null;
  let asked = 0;
  let chosen = decisions.WHOLE; // the instance that decisions are on

  function fact(term, ...said) {
    return make("div", {}, make("dt", {}, term), make("dd", {}, ...said));
  }

  /** Class names with their colours; text as text. */
  function chips(numbers) {
    return numbers.map((number) => make("span", { className: "chip" }, marks.swatch(number), make("span", {}, defectkit.data.classes[number])));
  }

  const namedChip = (label) => [make("span", { className: "chip" }, marks.swatch(defectkit.data.classNumbers.get(label) ?? -1), make("span", {}, label))];

  function hatch(name) {
    const rect = draw("rect", { width: 18, height: 12, fill: `url(#tile-${name})` });
    return draw("svg", { width: 18, height: 12, class: "swatch", "aria-hidden": "true" }, rect);
  }

  function labelled() {
    const { columns, shapes } = defectkit.data;
    if (shapes === "classes") return "the image as a whole";
    const found = counted(columns.instances[position], "instance");
    return shapes === "pixels" ? `${found}, ${counted(columns.area[position], "pixel")}` : found;
  }

  function differences() {
    if (!detail?.lost) {
      const reason = state.reasonOf("d");
      return reason && defectkit.data.shapes !== "classes" ? [fact("Difference", `not shown: ${reason}`)] : [];
    }
    const others = detail.renamed.map((one) => fact("Other class", hatch("renamed"), ` ${counted(one.pixels, "pixel")}, in the source`, ...namedChip(one.class)));
    return [
      fact("Lost", hatch("lost"), ` ${counted(detail.lost.pixels, "pixel")}`),
      fact("Gained", hatch("gained"), ` ${counted(detail.gained.pixels, "pixel")}`),
      ...others,
    ];
  }

  function instances() {
    if (!detail?.instances.length) return [];
    const rows = detail.instances.slice(0, MOST_LISTED).map((one, number) => {
      const size = one.fill ? `${one.area.toLocaleString("en")} px` : `${Math.round(one.box[2] - one.box[0])} × ${Math.round(one.box[3] - one.box[1])}`;
      const button = make("button", { type: "button", className: "instance" },
        ...chips([defectkit.data.classNumbers.get(one.class)]),
        make("span", { className: "amount" }, one.score === undefined ? size : `score ${one.score.toFixed(2)}, ${size}`));
      button.title = "Zoom to it";
      button.setAttribute("aria-pressed", String(number === chosen));
      const verdict = review.said(decisions.of(defectkit.data.columns.key[position], number));
      if (verdict) button.append(make("span", { className: "said" }, verdict));
      button.addEventListener("click", () => choose(number));
      return make("li", {}, button);
    });
    const more = detail.instances.length - rows.length;
    return [make("h3", {}, "Instances"), make("ul", { className: "instances", role: "list" }, ...rows), ...(more > 0 ? [make("p", { className: "muted" }, `and ${more} more`)] : [])];
  }

  /** What speaks against the label of the image. */
  function suspicion(score) {
    if (score === null) return [];
    const { suggested, label, why } = detail?.suspect || {};
    const other = suggested && suggested !== label ? [fact("Suggested", ...chips([defectkit.data.classNumbers.get(suggested)].filter((n) => n !== undefined)), ...(defectkit.data.classNumbers.has(suggested) ? [] : [suggested]))] : [];
    return [fact("Suspect", why ? `${score.toFixed(2)}: ${why}` : score.toFixed(2)), ...other];
  }

  function describe() {
    const { columns, subsets, products, problems } = defectkit.data;
    const [width, height] = columns.size[position];
    const iou = columns.iou[position];
    const of = detail?.instances.every((one) => one.fill) === false ? "masks " : "";
    const facts = [
      fact("Key", make("span", { className: "breaks" }, columns.key[position])),
      fact("Class", ...chips(columns.classes[position])),
      fact("Subset", subsets[columns.subset[position]] || "none"),
      fact("Product", products[columns.product[position]] || "none"),
      fact("Size", width ? `${width} × ${height} pixels${columns.image[position] ? "" : ", no image"}` : "unknown"),
      fact("Labelled", labelled()),
      ...(columns.doubt[position] === null ? [] : [fact("Doubt", columns.doubt[position].toFixed(2))]),
      ...suspicion(columns.suspect[position]),
      ...(iou === null ? [] : [fact("Fidelity", `${of}${iou === 1 ? "exact (IoU 1)" : `IoU ${shownIoU(iou)}`}`)]),
      ...(defectkit.data.compared ? [fact("Compared", defectkit.data.compared)] : []),
      ...differences(),
    ];
    const faults = problems.get(position) || [];
    const trouble = faults.length ? [make("h3", {}, "Problems"), make("ul", { className: "faults" }, ...faults.map((text) => make("li", {}, text)))] : [];
    byId("info").replaceChildren(make("dl", {}, ...facts), ...trouble, ...instances());
  }

  function header() {
    const place = grid.placeOf(position);
    const key = defectkit.data.columns.key[position];
    title.replaceChildren(...cutInside(shortKey(key)));
    title.title = key;
    const where = place < 0 ? "not among the images that pass" : `${(place + 1).toLocaleString("en")} of ${grid.size().toLocaleString("en")}`;
    byId("viewer-place").textContent = where;
    byId("previous").disabled = place === 0 || !grid.size();
    byId("next").disabled = place === grid.size() - 1 || !grid.size();
    const told = [key, where, counted(defectkit.data.columns.instances[position], "instance"), ...(defectkit.data.problems.get(position) || [])];
    byId("viewer-status").textContent = told.join(", ");
  }

  /** Say what decisions are on, and what was decided. */
  function showTarget() {
    const key = defectkit.data.columns.key[position];
    const one = decisions.of(key, chosen);
    const total = detail?.instances.length || 0;
    const what = chosen < 0 ? "Whole image" : `Instance ${chosen + 1} of ${total}: ${detail.instances[chosen].class}`;
    byId("target").textContent = `${what}${one?.decision ? `, ${review.said(one)}` : ""}`;
    if (document.activeElement !== byId("note")) byId("note").value = one?.note || "";
    for (const button of document.querySelectorAll("#verdicts button")) {
      if (button.dataset.word) button.setAttribute("aria-pressed", String(button.dataset.word === (one?.decision || "")));
    }
  }

  /** Let decisions be on one instance, which is brought into view; or on the whole image, with a number below 0. */
  function choose(number) {
    const total = detail?.instances.length || 0;
    const before = chosen;
    chosen = number >= 0 && number < total ? number : decisions.WHOLE;
    stage.choose(chosen);
    if (chosen >= 0) stage.show(detail.instances[chosen].box, 12);
    else if (before >= 0) stage.fit();
    describe();
    showTarget();
    byId("viewer-status").textContent = byId("target").textContent;
  }

  /** Towards the whole image and its instances, one after the other, round and round. */
  function chooseNext(by) {
    const total = (detail?.instances.length || 0) + 1;
    choose(((chosen + 1 + by + total) % total) - 1);
  }

  /** What follows a decision: the next image, or the next instance of this one. */
  function decided(next, place) {
    return (word) => {
      if (word && chosen >= 0) return chooseNext(1);
      if (word && next !== undefined) return state.set({ open: defectkit.data.columns.key[next], zoom: null, x: null, y: null });
      describe();
      showTarget();
      if (word && place >= 0) byId("viewer-status").textContent = "That was the last image.";
    };
  }

  function onVerdict(key) {
    const place = grid.placeOf(position);
    return review.onKey(key, position, chosen, decided(grid.at(place + 1), place));
  }

  /** Nearer to the defect: to the chosen one, or the largest, where nobody has looked elsewhere yet. */
  function zoomIn() {
    const all = detail?.instances || [];
    const one = chosen >= 0 ? all[chosen] : all.reduce((best, other) => (best && best.area >= other.area ? best : other), null);
    if (!stage.isFitted() || !one) return stage.zoomAt(1.5);
    const [x0, y0, x1, y1] = one.box;
    stage.set({ zoom: stage.place().zoom * 1.5, x: (x0 + x1) / 2, y: (y0 + y1) / 2 });
  }

  async function load(wanted, where) {
    position = wanted;
    chosen = decisions.WHOLE;
    detail = null;
    const request = ++asked;
    stage.open(position, where);
    header();
    describe();
    showTarget();
    const found = await defectkit.detailShelf.get(position);
    if (request !== asked) return;
    if (found === null) {
      byId("viewer-status").textContent = "The labels of this image could not be loaded.";
      byId("info").append(make("p", { className: "problem-text" }, "The labels of this image could not be loaded."));
      return;
    }
    detail = found;
    stage.mark(position, detail);
    describe();
    dialog.dataset.ready = String(position);
  }

  /** Follow the state: open, change or close. */
  function follow(values, before) {
    const wanted = values.open ? defectkit.data.positions.get(values.open) : undefined;
    if (wanted === undefined) {
      if (dialog.open) dialog.close();
      return;
    }
    const where = values.zoom !== null && values.x !== null && values.y !== null ? { zoom: values.zoom, x: values.x, y: values.y } : null;
    if (!dialog.open) {
      dialog.showModal();
      title.focus();
    }
    if (wanted !== position) load(wanted, where);
    else if (where && (where.zoom !== before.zoom || where.x !== before.x || where.y !== before.y)) stage.set(where, false);
    else if (!where && before.zoom !== null) stage.fit(false);
    else header();
  }

  function open(wanted) {
    state.set({ open: defectkit.data.columns.key[wanted], zoom: null, x: null, y: null }, true);
  }

  function step(by) {
    const place = grid.placeOf(position) + by;
    if (place < 0 || place >= grid.size()) return;
    state.set({ open: defectkit.data.columns.key[grid.at(place)], zoom: null, x: null, y: null });
  }

  function closed() {
    const place = grid.placeOf(position);
    position = -1;
    detail = null;
    asked++;
    delete dialog.dataset.ready;
    stage.clear();
    if (state.get().open) state.set({ open: "", zoom: null, x: null, y: null });
    if (place >= 0) grid.focus(place);
  }

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === byId("note")) return onNoteKey(event);
    const far = 80;
    const moves = { ArrowLeft: [far, 0], ArrowRight: [-far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
    if (event.shiftKey && moves[event.key]) stage.pan(...moves[event.key]);
    else if (event.key === "ArrowLeft" || event.key === "ArrowUp") step(-1);
    else if (event.key === "ArrowRight" || event.key === "ArrowDown") step(1);
    else if (event.key === "+" || event.key === "=") zoomIn();
    else if (event.key === "-") stage.zoomAt(1 / 1.5);
    else if (event.key === "0") stage.fit();
    else if (event.key === "1") stage.set({ ...stage.place(), zoom: 1 });
    else if (event.key === "j") chooseNext(1);
    else if (event.key === "k") chooseNext(-1);
    else if (event.key === "t" && defectkit.data.reviewable) byId("note").focus();
    else if (!onVerdict(event.key)) return;
    event.preventDefault();
  }

  /** Enter and Escape leave the note; other keys are its text. */
  function onNoteKey(event) {
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    title.focus();
  }

  function saveNote() {
    const key = defectkit.data.columns.key[position];
    const text = byId("note").value.trim();
    if (position >= 0 && text !== (decisions.of(key, chosen)?.note || "")) decisions.note(key, chosen, text);
  }

  function point(pixel, over) {
    const one = over?.instance === undefined ? null : detail?.instances[Number(over.instance)];
    const what = over?.source ? `, the source has ${over.source}` : one ? `, ${one.class}` : "";
    const text = pixel ? `x ${pixel[0]}, y ${pixel[1]}${what}` : "";
    byId("pointer").textContent = text;
  }

  function start() {
    stage.listen({
      moved(place, fitted) {
        byId("zoom").textContent = `${Math.round(place.zoom * 100)}%`;
        byId("pointer").textContent = fitted ? "" : `middle: x ${stage.middle()[0]}, y ${stage.middle()[1]}`;
        if (dialog.open) state.note(fitted ? { zoom: null, x: null, y: null } : place);
      },
      pointed: point,
    });
    dialog.addEventListener("keydown", onKey);
    dialog.addEventListener("close", closed);
    byId("close").addEventListener("click", () => dialog.close());
    byId("previous").addEventListener("click", () => step(-1));
    byId("next").addEventListener("click", () => step(1));
    byId("zoom-in").addEventListener("click", zoomIn);
    byId("note").addEventListener("change", saveNote);
    for (const button of document.querySelectorAll("#verdicts button")) button.addEventListener("click", () => onVerdict(button.dataset.key));
    byId("zoom-out").addEventListener("click", () => stage.zoomAt(1 / 1.5));
    byId("zoom-fit").addEventListener("click", () => stage.fit());
    byId("zoom-one").addEventListener("click", () => stage.set({ ...stage.place(), zoom: 1 }));
    byId("show-info").addEventListener("click", (event) => {
      const shown = dialog.classList.toggle("with-info");
      event.currentTarget.setAttribute("aria-expanded", String(shown));
    });
    state.listen(follow);
  }

  return { start, open };
})();
