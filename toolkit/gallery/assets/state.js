"use strict";
// All that decides what is seen, kept in the address.

const LAYER_KEYS = { fill: "f", outline: "o", box: "b", oriented: "r", names: "n", source: "s", difference: "d" };
const LAYER_NAMES = {
  fill: "Fill",
  outline: "Outline",
  box: "Box",
  oriented: "Oriented box",
  names: "Class names",
  source: "Source mask",
  difference: "Difference",
};

const state = (() => {
  const LISTS = ["class", "subset", "product", "decision"];
  const RANGES = ["area", "instances"];
  const TEXTS = ["search", "sort", "layers", "open", "at"];
  const NUMBERS = ["zoom", "x", "y"];
  const FLAGS = ["suspect", "problem", "inexact"];
  const listeners = [];
  let values = {};
  let written = "";
  let timer = 0;

  /** Layers that are on at first: all that tells where a defect is, and whether it is right. */
  function firstLayers() {
    const wanted = { pixels: "fond", boxes: "bn", oriented: "rn", classes: "n" }[defectkit.data.shapes];
    return [...wanted].filter((letter) => !reasonOf(letter)).join("");
  }

  /** Why a layer cannot be shown, by its letter; "" if it can. */
  function reasonOf(letter) {
    const found = defectkit.data.layers.find(([name]) => LAYER_KEYS[name] === letter);
    return found ? found[1] : "no such layer";
  }

  function firstSort() {
    if (defectkit.data.suspicious) return "suspect";
    return defectkit.data.doubtful ? "doubt" : "key";
  }

  function defaults() {
    return {
      search: "", sort: firstSort(), layers: firstLayers(), open: "", at: "", zoom: null, x: null, y: null,
      class: [], subset: [], product: [], decision: [], area: [null, null], instances: [null, null], suspect: false, problem: false, inexact: false,
    };
  }

  function parse(hash) {
    const given = new URLSearchParams(hash.replace(/^#/, ""));
    const found = defaults();
    for (const name of LISTS) found[name] = given.getAll(name);
    for (const name of TEXTS) if (given.has(name)) found[name] = given.get(name);
    for (const name of FLAGS) found[name] = given.get(name) === "1";
    for (const name of NUMBERS) found[name] = number(given.get(name));
    for (const name of RANGES) {
      const ends = (given.get(name) || "-").split("-");
      found[name] = [number(ends[0]), number(ends[1])];
    }
    found.layers = [...new Set(found.layers)].filter((letter) => !reasonOf(letter)).join("");
    return found;
  }

  function number(text) {
    const value = text === null || text === undefined || text.trim() === "" ? NaN : Number(text);
    return Number.isFinite(value) ? value : null;
  }

  function format(all) {
    const usual = defaults();
    const said = new URLSearchParams();
    for (const name of TEXTS) if (all[name] !== usual[name]) said.set(name, all[name]);
    for (const name of LISTS) for (const value of all[name]) said.append(name, value);
    for (const name of RANGES) if (all[name].some((end) => end !== null)) said.set(name, all[name].map((end) => end ?? "").join("-"));
    for (const name of FLAGS) if (all[name]) said.set(name, "1");
    for (const name of NUMBERS) if (all[name] !== null) said.set(name, String(Math.round(all[name] * 1000) / 1000));
    return said.toString();
  }

  /** Browsers refuse an address that changes too often, so that small changes wait for one another. */
  function write(push) {
    clearTimeout(timer);
    const save = () => {
      const text = `#${format(values)}`;
      if (text === written) return;
      written = text;
      history[push ? "pushState" : "replaceState"](null, "", text);
    };
    if (push) save();
    else timer = setTimeout(save, 150);
  }

  function tell(before) {
    for (const listener of listeners) listener(values, before);
  }

  function restore() {
    if (location.hash === written) return;
    clearTimeout(timer);
    written = location.hash;
    const before = values;
    values = parse(location.hash);
    tell(before);
  }

  return {
    reasonOf,
    get: () => values,
    /** Change some values. With `push` the step can be taken back with the browser's Back. */
    set(changes, push = false) {
      const before = values;
      values = { ...values, ...changes };
      write(push);
      tell(before);
    },
    /** Remember where the reader is without telling anybody. */
    note(changes) {
      values = { ...values, ...changes };
      write(false);
    },
    toggleLayer(letter) {
      if (reasonOf(letter)) return;
      const on = values.layers.includes(letter);
      const kept = [...values.layers].filter((other) => other !== letter);
      this.set({ layers: (on ? kept : [...kept, letter]).join("") });
    },
    isFiltered() {
      const usual = { ...defaults(), sort: values.sort, layers: values.layers, open: values.open, at: values.at, zoom: values.zoom, x: values.x, y: values.y };
      return format(values) !== format(usual);
    },
    clear() {
      const { search, area, instances, suspect, problem, inexact } = defaults();
      this.set({ search, area, instances, suspect, problem, inexact, class: [], subset: [], product: [], decision: [] });
    },
    listen: (listener) => listeners.push(listener),
    start() {
      values = parse(location.hash);
      written = location.hash;
      addEventListener("popstate", restore);
      addEventListener("hashchange", restore);
      tell({});
    },
  };
})();
