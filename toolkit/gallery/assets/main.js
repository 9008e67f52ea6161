"use strict";
// Puts the parts together: what the state says is what the page shows.

(() => {
  const byId = (id) => document.getElementById(id);
  const SEEN = ["search", "sort", "class", "subset", "product", "decision", "area", "instances", "suspect", "problem", "inexact"];
  const data = defectkit.data;
  const help = byId("help");
  const toggles = [];

  /** A button for each layer; those that these labels do not have say why. */
  function layerButtons(home) {
    for (const [name, reason] of data.layers) {
      const letter = LAYER_KEYS[name];
      const button = make("button", { type: "button", className: "layer" }, make("span", {}, LAYER_NAMES[name]), make("kbd", { "aria-hidden": "true" }, letter));
      button.dataset.layer = name;
      button.title = reason ? `Not available: ${reason}` : `${LAYER_NAMES[name]} (${letter})`;
      button.setAttribute("aria-keyshortcuts", letter);
      if (reason) {
        button.setAttribute("aria-disabled", "true");
        button.setAttribute("aria-label", `${LAYER_NAMES[name]}, not available: ${reason}`);
      }
      button.addEventListener("click", () => state.toggleLayer(letter));
      toggles.push([button, letter]);
      home.append(button);
    }
  }

  function showLayers(layers) {
    marks.showLayers(layers);
    for (const [button, letter] of toggles) button.setAttribute("aria-pressed", String(layers.includes(letter)));
  }

  function showCounts(shown) {
    const instances = shown.reduce((sum, position) => sum + data.columns.instances[position], 0);
    byId("counts").textContent = `Showing ${shown.length.toLocaleString("en")} of ${counted(data.count, "image")}, ${instances.toLocaleString("en")} of ${counted(data.instanceCount, "instance")}`;
    byId("nothing").hidden = shown.length > 0;
    byId("clear").hidden = !state.isFiltered();
  }

  /** Filter anew after a decision: an image may pass no more. */
  function decided(key) {
    if (key === undefined) return;
    const values = state.get();
    const { shown, counts } = filters.run(values);
    filters.show(values, counts);
    if (values.decision.length) grid.show(shown);
    grid.refresh(data.positions.get(key));
    if (values.decision.length) showCounts(shown);
  }

  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

  function follow(values, before) {
    if (values.layers !== before.layers) showLayers(values.layers);
    const first = before.sort === undefined;
    if (!first && SEEN.every((name) => same(values[name], before[name])) && values.at === before.at) return;
    const { shown, counts } = filters.run(values);
    filters.show(values, counts);
    if (document.activeElement !== byId("search")) byId("search").value = values.search;
    byId("sort").value = values.sort;
    const moved = first || values.at !== before.at;
    grid.show(shown, moved && values.at ? data.positions.get(values.at) : undefined);
    showCounts(shown);
  }

  function helpLayers() {
    for (const [name] of data.layers) {
      byId("help-layers").append(make("div", {}, make("dt", {}, make("kbd", {}, LAYER_KEYS[name])), make("dd", {}, LAYER_NAMES[name])));
    }
    byId("help-layers").append(make("div", {}, make("dt", {}, make("kbd", {}, "?")), make("dd", {}, "this help")));
  }

  const isTyping = (target) => target instanceof HTMLInputElement && target.type !== "checkbox";

  function onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || isTyping(event.target)) return;
    if (event.target instanceof HTMLSelectElement || help.open || byId("choice").open) return;
    if (event.key === "?") help.showModal();
    else if (event.key === "/" && !byId("viewer").open) byId("search").focus();
    else if (event.key === "e" && data.reviewable) review.save();
    else if (Object.values(LAYER_KEYS).includes(event.key)) state.toggleLayer(event.key);
    else if (event.key.startsWith("Arrow") && event.target === document.body) grid.focusActive();
    else return;
    event.preventDefault();
  }

  function start() {
    decisions.start();
    filters.build(byId("filters"));
    layerButtons(byId("grid-layers"));
    layerButtons(byId("viewer-layers"));
    helpLayers();
    grid.start(viewer.open);
    state.listen(follow);
    viewer.start();
    review.start();
    decisions.listen(decided);
    byId("search").addEventListener("input", (event) => state.set({ search: event.target.value }));
    byId("sort").addEventListener("change", (event) => state.set({ sort: event.target.value }));
    byId("clear").addEventListener("click", () => { state.clear(); byId("search").focus(); });
    byId("show-help").addEventListener("click", () => help.showModal());
    byId("close-help").addEventListener("click", () => help.close());
    byId("skip").addEventListener("click", (event) => { event.preventDefault(); grid.focusActive(); });
    byId("show-filters").addEventListener("click", (event) => {
      const shown = document.body.classList.toggle("filters-shown");
      event.currentTarget.setAttribute("aria-expanded", String(shown));
    });
    addEventListener("keydown", onKey);
    state.start();
    document.body.dataset.ready = "true";
  }

  start();
})();
