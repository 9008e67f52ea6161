"use strict";
// Deciding: keys, buttons, the choice of a class, the counter, and the file that comes out.

const review = (() => {
  const byId = (id) => document.getElementById(id);
  const WORDS = { a: "accept", x: "reject", w: "needs-work", u: "" };
  const choice = byId("choice");
  let chosen = () => {}; // what is called with the class that was chosen

  const possible = () => defectkit.data.reviewable;

  function said(one) {
    if (!one?.decision) return "";
    return { accept: "accepted", reject: "rejected", class: `class: ${one.class}`, "needs-work": "needs work" }[one.decision];
  }

  /** Classes that an image, or an instance of it, can be given. */
  function classesOf(position, number) {
    const { classes, colours, columns, shapes } = defectkit.data;
    const known = classes.slice(0, colours.length);
    if (number === decisions.WHOLE && !columns.instances[position] && shapes !== "classes") return [];
    return number === decisions.WHOLE && !known.includes("good") ? [...known, "good"] : known;
  }

  function choose(position, number, then) {
    const names = classesOf(position, number);
    if (!names.length) return tell("This image has no label whose class could change: say that it needs work.");
    chosen = then;
    byId("choice-list").replaceChildren(...names.map((name, place) => {
      const key = place < 9 ? [make("kbd", { "aria-hidden": "true" }, String(place + 1))] : [];
      const colour = defectkit.data.classNumbers.has(name) ? [marks.swatch(defectkit.data.classNumbers.get(name))] : [];
      const button = make("button", { type: "button" }, ...colour, make("span", {}, name), ...key);
      button.addEventListener("click", () => { choice.close(); chosen(name); });
      return make("li", {}, button);
    }));
    choice.showModal();
  }

  function onChoiceKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const buttons = [...byId("choice-list").querySelectorAll("button")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    event.stopPropagation(); // keys of the page below mean other things
    if (step) buttons[(buttons.indexOf(document.activeElement) + step + buttons.length) % buttons.length].focus();
    else if (/^[1-9]$/.test(event.key)) buttons[Number(event.key) - 1]?.click();
    else return;
    event.preventDefault();
  }

  /** Do what a key says of an image or an instance; whether it said anything. */
  function onKey(key, position, number, after) {
    if (!possible()) return false;
    const name = defectkit.data.columns.key[position];
    const decide = (word, label) => { decisions.decide(name, number, word, label); after(word); };
    if (key === "c") choose(position, number, (label) => decide("class", label));
    else if (key in WORDS) decide(WORDS[key]);
    else return false;
    return true;
  }

  function tell(text) {
    byId("review-told").textContent = text;
    byId("viewer-status").textContent = text;
    byId("target").textContent = text;
  }

  function showCounts() {
    const counts = decisions.counts();
    const [, undecided] = counts[0];
    const total = defectkit.data.count;
    const rest = counts.slice(1).filter(([, amount]) => amount).map(([name, amount]) => `${amount.toLocaleString("en")} ${name}`);
    byId("review-count").textContent = `Reviewed ${(total - undecided).toLocaleString("en")} of ${counted(total, "image")}${rest.length ? `: ${rest.join(", ")}` : ""}`;
    byId("review-told").textContent = decisions.isKept() ? "" : "This browser keeps nothing for this page: export before you close it.";
    byId("export").disabled = undecided === total;
  }

  function save() {
    if (!possible() || byId("export").disabled) return;
    const link = make("a", { href: URL.createObjectURL(new Blob([decisions.text()], { type: "application/json" })), download: "decisions.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    tell("Exported decisions.json.");
  }

  function start() {
    for (const part of document.querySelectorAll(".of-review")) part.hidden = !possible();
    if (!possible()) return;
    byId("reviewer").value = decisions.reviewer();
    byId("reviewer").addEventListener("change", (event) => decisions.setReviewer(event.target.value.trim()));
    byId("export").addEventListener("click", save);
    byId("close-choice").addEventListener("click", () => choice.close());
    choice.addEventListener("keydown", onChoiceKey);
    decisions.listen(showCounts);
    showCounts();
  }

  return { start, onKey, save, said, tell };
})();
