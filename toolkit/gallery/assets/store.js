"use strict";
// What the data files call, and how they are fetched: a page opened from a disk may load scripts, but not fetch().

const defectkit = {
  data: null,
  index(data) {
    const columns = data.columns;
    data.count = columns.key.length;
    data.doubtful = columns.doubt.some((doubt) => doubt !== null);
    data.suspicious = columns.suspect.some((score) => score !== null);
    data.problems = new Map(data.problems);
    data.classNumbers = new Map(data.classes.map((name, number) => [name, number]));
    data.positions = new Map(columns.key.map((key, position) => [key, position]));
    data.instanceCount = columns.instances.reduce((sum, value) => sum + value, 0);
    defectkit.data = data;
  },
};

/** Files of one kind, each loaded when it is asked for; the least recently used ones are forgotten. */
class Shelf {
  constructor(capacity, path) {
    this.capacity = capacity;
    this.path = path;
    this.held = new Map(); // number -> content, the least recently used first
    this.waiting = new Map(); // number -> promise and its resolve
  }

  /** The content of a file; null if it cannot be loaded. */
  get(number) {
    if (this.held.has(number)) {
      const content = this.held.get(number);
      this.held.delete(number);
      this.held.set(number, content);
      return Promise.resolve(content);
    }
    if (!this.waiting.has(number)) {
      const wait = {};
      wait.promise = new Promise((resolve) => { wait.resolve = resolve; });
      this.waiting.set(number, wait);
      const script = document.createElement("script");
      script.src = this.path(number);
      script.onload = () => { script.remove(); this.arrived(number, null); };
      script.onerror = script.onload;
      document.head.append(script);
    }
    return this.waiting.get(number).promise;
  }

  /** The content of a file if it is here already. */
  peek(number) {
    return this.held.get(number);
  }

  arrived(number, content) {
    const wait = this.waiting.get(number);
    if (content !== null) {
      this.held.set(number, content);
      while (this.held.size > this.capacity) this.held.delete(this.held.keys().next().value);
    }
    if (wait) {
      this.waiting.delete(number);
      wait.resolve(content);
    }
  }
}

const padded = (number, width) => String(number).padStart(width, "0");

defectkit.tileShelf = new Shelf(96, (number) => `data/tiles-${padded(number, 4)}.js`);
defectkit.detailShelf = new Shelf(8, (number) => `data/images/${padded(number, 6)}.js`);
defectkit.tiles = (number, content) => defectkit.tileShelf.arrived(number, content);
defectkit.detail = (number, content) => defectkit.detailShelf.arrived(number, content);
defectkit.thumbnail = (position) => `thumbs/${padded(position, 6)}.webp`;
defectkit.image = (position) => `images/${padded(position, 6)}${defectkit.data.columns.image[position]}`;
