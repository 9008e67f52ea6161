"use strict";
// Which images pass, in which order; and the form that decides it.

const filters = (() => {
  const FACETS = [
    ["class", "Class", "classes"],
    ["subset", "Subset", "subsets"],
    ["product", "Product", "products"],
    ["decision", "Decision", "decisions"],
  ];
  const RANGES = [["instances", "Instances"], ["area", "Labelled area, pixels"]];
  const SUSPICIOUS = 0.5; // from here on more speaks against a label than for it
  const FLAGS = [["suspect", "Suspicious label"], ["problem", "With a problem"], ["inexact", "Differs from the source"]];
  const options = []; // one for each checkbox: facet, name, input and the element that shows its count
  const inputs = {};

  const columnOf = { subset: "subset", product: "product", class: "classes", decision: "decision" };

  const SUBSETS = ["train", "val", "test"]; // in this order everywhere; others follow as they come
  const rankOf = (subset) => (SUBSETS.includes(subset) ? SUBSETS.indexOf(subset) : SUBSETS.length);

  /** For each filter, a test of a position. */
  function tests(values) {
    const { columns, problems } = defectkit.data;
    const found = {};
    if (values.search) {
      const words = values.search.toLowerCase().split(/\s+/).filter(Boolean);
      found.search = (i) => { const key = columns.key[i].toLowerCase(); return words.every((word) => key.includes(word)); };
    }
    for (const [facet, , names] of FACETS) {
      if (!values[facet].length) continue;
      const wanted = new Set(values[facet].map((name) => defectkit.data[names].indexOf(name)));
      found[facet] = facet === "class" ? (i) => columns.classes[i].some((n) => wanted.has(n)) : (i) => wanted.has(columns[facet][i]);
    }
    for (const [name] of RANGES) {
      const [low, high] = values[name];
      if (low !== null || high !== null) found[name] = (i) => columns[name][i] >= (low ?? -Infinity) && columns[name][i] <= (high ?? Infinity);
    }
    if (values.suspect) found.suspect = (i) => columns.suspect[i] >= SUSPICIOUS;
    if (values.problem) found.problem = (i) => problems.has(i);
    if (values.inexact) found.inexact = (i) => columns.iou[i] !== null && columns.iou[i] < 1;
    return found;
  }

  /** Positions that pass, in order; and how many pass for each option if the others of its facet did not matter. */
  function run(values) {
    const { columns, count } = defectkit.data;
    const found = tests(values);
    const names = Object.keys(found);
    const tallies = FACETS.map(([facet, , names]) => ({ facet, own: columns[columnOf[facet]], tally: new Int32Array(defectkit.data[names].length) }));
    const passing = [];
    for (let i = 0; i < count; i++) {
      let failed = null;
      let failures = 0;
      for (const name of names) if (!found[name](i)) { failures++; failed = name; }
      if (failures > 1) continue;
      if (!failures) passing.push(i);
      for (const { facet, own, tally } of tallies) {
        if (failures && failed !== facet) continue;
        if (facet === "class") for (const number of own[i]) tally[number]++;
        else tally[own[i]]++;
      }
    }
    return { shown: sorted(passing, values.sort), counts: Object.fromEntries(tallies.map(({ facet, tally }) => [facet, tally])) };
  }

  function sorted(positions, sort) {
    const column = { area: "area", iou: "iou", doubt: "doubt", suspect: "suspect" }[sort.replace("-", "")];
    if (!column) return positions; // the index is sorted by key
    const values = defectkit.data.columns[column];
    const sign = sort.startsWith("-") || column === "doubt" || column === "suspect" ? -1 : 1; // what is doubtful comes first
    return positions.sort((a, b) => {
      if (values[a] === null || values[b] === null) return (values[a] === null) - (values[b] === null) || a - b;
      return sign * (values[a] - values[b]) || a - b;
    });
  }

  function fieldset(title, ...children) {
    return make("fieldset", {}, make("legend", {}, title), ...children);
  }

  function choice(facet, number, name) {
    const input = make("input", { type: "checkbox", name: facet, value: name });
    input.addEventListener("change", () => {
      const kept = state.get()[facet].filter((other) => other !== name);
      state.set({ [facet]: input.checked ? [...kept, name] : kept });
    });
    const amount = make("span", { className: "amount" });
    options.push({ facet, number, name, input, amount });
    const shown = make("span", { className: "option-name", title: name }, name || "none");
    return make("label", { className: "option" }, input, ...(facet === "class" ? [marks.swatch(number)] : []), shown, amount);
  }

  function facet([name, title, names]) {
    const all = defectkit.data[names];
    if (name === "decision" && !defectkit.data.reviewable) return null;
    const known = new Set(name === "decision" ? all.keys() : defectkit.data.columns[columnOf[name]].flat());
    const there = all.map((text, number) => [text, number]).filter(([, number]) => known.has(number));
    if (there.length < 2) return null;
    if (name === "subset") there.sort(([one], [other]) => rankOf(one) - rankOf(other));
    return fieldset(title, make("div", { className: "options" }, ...there.map(([text, number]) => choice(name, number, text))));
  }

  function range([name, title]) {
    const column = defectkit.data.columns[name];
    let [low, high] = [Infinity, -Infinity];
    for (const value of column) { low = Math.min(low, value); high = Math.max(high, value); }
    if (low >= high) return null;
    inputs[name] = [["from", low], ["to", high]].map(([word, end]) => {
      const input = make("input", { type: "number", min: "0", step: "1", inputMode: "numeric", placeholder: String(end) });
      input.setAttribute("aria-label", `${title}: ${word}`);
      input.addEventListener("input", () => {
        const ends = inputs[name].map((one) => (one.value === "" ? null : Math.max(0, Number(one.value))));
        state.set({ [name]: ends });
      });
      return input;
    });
    return fieldset(title, make("div", { className: "range" }, inputs[name][0], make("span", { "aria-hidden": "true" }, "to"), inputs[name][1]));
  }

  function flags() {
    const { columns, problems } = defectkit.data;
    const amounts = { suspect: columns.suspect.filter((score) => score >= SUSPICIOUS).length, problem: problems.size, inexact: columns.iou.filter((iou) => iou !== null && iou < 1).length };
    const there = FLAGS.filter(([name]) => amounts[name]);
    if (!there.length) return null;
    return fieldset("Check", ...there.map(([name, title]) => {
      const input = make("input", { type: "checkbox", name });
      input.addEventListener("change", () => state.set({ [name]: input.checked }));
      inputs[name] = input;
      return make("label", { className: "option" }, input, make("span", { className: "option-name" }, title), make("span", { className: "amount" }, String(amounts[name])));
    }));
  }

  function build(form) {
    form.addEventListener("submit", (event) => event.preventDefault());
    const parts = [...FACETS.map(facet), ...RANGES.map(range), flags()];
    form.append(...parts.filter(Boolean));
  }

  /** Make the form say what the state says. */
  function show(values, counts) {
    for (const { facet: name, number, name: text, input, amount } of options) {
      input.checked = values[name].includes(text);
      const passing = counts[name][number];
      amount.textContent = passing.toLocaleString("en");
      input.closest("label").classList.toggle("empty", !passing && !input.checked);
    }
    for (const [name] of RANGES) {
      (inputs[name] || []).forEach((input, end) => {
        if (document.activeElement !== input) input.value = values[name][end] ?? "";
      });
    }
    for (const [name] of FLAGS) if (inputs[name]) inputs[name].checked = values[name];
  }

  return { build, run, show };
})();
