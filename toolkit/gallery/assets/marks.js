"use strict";
// Pieces of pictures that the grid and the full view share. Text becomes text nodes only, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element: a name, attributes or properties, children (elements or texts). */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in element && key !== "role") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function draw(name, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

const marks = (() => {
  const DASHES = ["none", "7 3", "2 3", "10 3 2 3", "4 4", "12 3 2 3 2 3", "1 5"];
  const NEUTRAL = "#b0b4b8";

  const colourOf = (number) => defectkit.data.colours[number] ?? NEUTRAL;
  /** Seven colours, and a dash that differs between any two classes of one colour and between neighbours. */
  const dashOf = (number) => DASHES[(number + Math.floor(number / DASHES.length)) % DASHES.length];

  /** Black or white, whichever reads better on a colour. */
  function inkOn(colour) {
    const [r, g, b] = [1, 3, 5].map((at) => {
      const value = parseInt(colour.slice(at, at + 2), 16) / 255;
      return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff";
  }

  /** A short stroke in a class's colour and dash. */
  function swatch(number) {
    const line = draw("line", { x1: 0, y1: 5, x2: 18, y2: 5, stroke: colourOf(number), "stroke-width": 5, "stroke-dasharray": dashOf(number) });
    const back = draw("line", { x1: 0, y1: 5, x2: 18, y2: 5, class: "swatch-back", "stroke-width": 7 });
    return draw("svg", { viewBox: "0 0 18 10", width: 18, height: 10, class: "swatch", "aria-hidden": "true" }, back, line);
  }

  function path(data, className, attributes = {}) {
    return draw("path", { d: data, class: className, "fill-rule": "evenodd", "shape-rendering": "crispEdges", ...attributes });
  }

  /** A line that shows on any picture: a dark one below, the class's colour and dash above. */
  function outline(data, className, number) {
    const line = { d: data, "vector-effect": "non-scaling-stroke" };
    return [
      draw("path", { ...line, class: `${className} casing` }),
      draw("path", { ...line, class: className, stroke: colourOf(number), "stroke-dasharray": dashOf(number) }),
    ];
  }

  /** Paths of one set of labels, each with the class of its layer. */
  function ofLabels(group, one, number) {
    if (one.fill) {
      group.append(path(one.fill, "layer-fill", { fill: colourOf(number) }));
      group.append(...outline(one.fill, "layer-outline", number));
    }
    if (one.alone) group.append(...outline(one.alone, "layer-outline", number)); // a box among masks
    if (one.box) group.append(...outline(one.box, "layer-box", number));
    if (one.oriented) group.append(...outline(one.oriented, "layer-oriented", number));
  }

  function ofSource(group, data, hatches) {
    group.append(path(data, "layer-source", { fill: `url(#${hatches}-source)` }));
    group.append(draw("path", { d: data, class: "layer-source source-line casing", "vector-effect": "non-scaling-stroke" }));
    group.append(draw("path", { d: data, class: "layer-source source-line", "vector-effect": "non-scaling-stroke" }));
  }

  /** Pixels that the source says are of another class, in the colour of that class under a hatch. */
  function ofRenamed(group, found, hatches, numberOf) {
    for (const one of found || []) {
      for (const fill of [colourOf(numberOf(one.class)), `url(#${hatches}-renamed)`]) {
        const shape = path(one.path, "layer-difference renamed", { fill });
        shape.dataset.source = defectkit.data.classes[numberOf(one.class)] ?? one.class;
        group.append(shape);
      }
    }
  }

  function ofDifference(group, lost, gained, hatches) {
    if (lost) group.append(path(lost, "layer-difference lost", { fill: `url(#${hatches}-lost)` }));
    if (gained) group.append(path(gained, "layer-difference gained", { fill: `url(#${hatches}-gained)` }));
  }

  /** The hatches that tell source, lost and gained apart without colour; lines for lost, dots for gained. */
  function patterns(hatches) {
    const pattern = (name, ...children) => draw("pattern", { id: `${hatches}-${name}`, width: 8, height: 8, patternUnits: "userSpaceOnUse" }, ...children);
    const line = "M-2 2l4 -4M0 8l8 -8M6 10l4 -4";
    return draw("defs", {},
      pattern("source", draw("path", { d: line, class: "hatch-source" })),
      pattern("lost", draw("rect", { width: 8, height: 8, class: "ground-lost" }), draw("path", { d: line, class: "hatch-lost" })),
      pattern("renamed", draw("path", { d: "M0 0l8 8M0 8l8 -8", class: "hatch-renamed" })),
      pattern("gained", draw("rect", { width: 8, height: 8, class: "ground-gained" }), draw("circle", { cx: 4, cy: 4, r: 1.6, class: "hatch-gained" })));
  }

  /** Tell the style sheet which layers are on. */
  function showLayers(layers) {
    for (const [name, letter] of Object.entries(LAYER_KEYS)) document.body.classList.toggle(`with-${name}`, layers.includes(letter));
  }

  return { colourOf, inkOn, swatch, ofLabels, ofSource, ofRenamed, ofDifference, patterns, showLayers };
})();

/** Numbers as people read them. */
const counted = (value, one, many = `${one}s`) => `${value.toLocaleString("en")} ${value === 1 ? one : many}`;
const shownIoU = (iou) => (iou === 1 ? "1" : (Math.floor(iou * 10000) / 10000).toFixed(4));
/** The part of a key that tells neighbours apart. */
const shortKey = (key) => key.split("/").slice(-2).join("/");
/** A text that is cut in its middle where there is no room: its end is what tells it from others. */
const KEPT_END = 10;
const cutInside = (text) => [make("span", { className: "head" }, text.slice(0, -KEPT_END)), make("span", { className: "tail" }, text.slice(-KEPT_END))];
