"use strict";
// What a reviewer decided on, image by image and instance by instance: kept in the browser, counted, exported.

const decisions = (() => {
  const WHOLE = -1; // stands for the image as a whole, where others are numbers of instances
  const STATES = ["undecided", "accepted", "rejected", "class changed", "needs work"];
  const SAID = { accept: 1, reject: 2, class: 3, "needs-work": 4 };
  const listeners = [];
  let held = new Map(); // key -> Map of WHOLE or a number -> { decision, class, note, time }
  let reviewer = "";
  let kept = true; // whether the browser lets the page keep anything

  const place = () => `defectkit-review-${defectkit.data.gallery}`;

  function restore() {
    try {
      const told = JSON.parse(localStorage.getItem(place()) || "{}");
      reviewer = told.reviewer || "";
      held = new Map((told.images || []).map(([key, own]) => [key, new Map(own)]));
    } catch {
      kept = false;
    }
  }

  function save() {
    try {
      const images = [...held].map(([key, own]) => [key, [...own]]);
      localStorage.setItem(place(), JSON.stringify({ reviewer, images }));
      kept = true;
    } catch {
      kept = false;
    }
  }

  /** Number of the state of an image, of which one stands in the filter: what needs the most to be done. */
  function stateOf(key) {
    const said = [...(held.get(key) || new Map()).values()].map((one) => one.decision).filter(Boolean);
    return ["needs-work", "reject", "class", "accept"].filter((word) => said.includes(word)).map((word) => SAID[word])[0] || 0;
  }

  function changed(key) {
    const { columns, positions } = defectkit.data;
    if (key !== undefined) columns.decision[positions.get(key)] = stateOf(key);
    save();
    for (const listener of listeners) listener(key);
  }

  function update(key, number, change) {
    const own = held.get(key) || new Map();
    const next = { decision: "", note: "", ...own.get(number), ...change, time: new Date().toISOString() };
    if (next.decision !== "class") delete next.class;
    if (next.decision || next.note) own.set(number, next);
    else own.delete(number);
    if (own.size) held.set(key, own);
    else held.delete(key);
    changed(key);
  }

  return {
    WHOLE,
    stateOf: (position) => STATES[defectkit.data.columns.decision[position]],
    of: (key, number = WHOLE) => held.get(key)?.get(number) || null,
    /** Say something of an image or an instance; an empty word takes back what was said. */
    decide: (key, number, decision, label) => update(key, number, { decision, ...(label === undefined ? {} : { class: label }) }),
    note: (key, number, note) => update(key, number, { note }),
    reviewer: () => reviewer,
    setReviewer(name) { reviewer = name; changed(); },
    isKept: () => kept,
    listen: (listener) => listeners.push(listener),
    counts() {
      const found = STATES.map(() => 0);
      for (const number of defectkit.data.columns.decision) found[number]++;
      return STATES.map((name, number) => [name, found[number]]);
    },
    /** The file that `defectkit review` reads. */
    text() {
      const { columns, words, gallery } = defectkit.data;
      const found = [];
      for (const key of columns.key) {
        for (const [number, one] of [...(held.get(key) || [])].sort(([a], [b]) => a - b)) {
          if (!one.decision) continue;
          const level = number === WHOLE ? "image" : "instance";
          found.push({ key, level, instance: number === WHOLE ? null : number, decision: one.decision, class: one.class ?? null, note: one.note, time: one.time });
        }
      }
      const told = { schema: 1, format: "decisions", gallery, source: `${words.title}: ${words.kind}`, reviewer, decisions: found };
      return `${JSON.stringify(told, null, 1)}\n`;
    },
    start() {
      const { data } = defectkit;
      restore();
      data.decisions = STATES;
      data.columns.decision = data.columns.key.map(stateOf);
    },
  };
})();
