// The read-out of charts: point at one, or step through it with the arrow keys. Charts of one x move together.
(() => {
  const minus = s => s.replace('-', '\u2212'), nb = '\u00a0';
  const big = v => {
    let i = 0;
    for (; i < 4 && Math.abs(v) >= 999.95; ++i) v /= 1000;
    return i ? v.toFixed(1) + nb + ' kMGT'[i] : String(Math.round(v));
  };
  const rate = v => v === 0 ? '0' : v.toExponential(1).replace('e-', 'e\u2212').replace('e+', 'e');
  const short = v => {
    const size = Math.abs(v);
    if (size === 0) return '0';
    return size < .001 || size >= 1e5 ? minus(rate(v)) : minus(v.toFixed(Math.max(0, 1 - Math.floor(Math.log10(size)))));
  };
  const forms = { loss: v => minus(v.toFixed(3)), short, rate, count: big };
  const clock = s => {
    const m = Math.round(s / 60);
    return s < 60 ? s.toFixed(s < 9.95 ? 1 : 0) + nb + 's' : m < 60 ? m + nb + 'min' : Math.floor(m / 60) + nb + 'h' + nb + m % 60 + nb + 'min';
  };
  const places = { step: x => 'step ' + Math.round(x).toLocaleString('en'), tokens: x => big(x) + nb + 'tokens', time: clock };
  const make = (tag, name, ...children) => {
    const node = document.createElement(tag);
    node.className = name;
    node.append(...children);
    return node;
  };
  const spread = g => Array.isArray(g) ? g : Array.from({ length: g.n }, (_, i) => g.from + i * g.by);
  const charts = [...document.querySelectorAll('figure[data-x]')].map(figure => {
    const data = JSON.parse(figure.querySelector('script').textContent), out = figure.querySelector('output');
    data.grids = data.grids.map(spread);
    return { figure, data, out, plot: figure.querySelector('.plot'), svg: figure.querySelector('.plot > svg'), rest: out ? [...out.childNodes] : [], marks: [] };
  });
  const before = (xs, x) => {  // index of the last at or before x
    let low = 0, high = xs.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (xs[middle] <= x) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  const mark = (c, name, attributes) => {
    const node = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const key in attributes) node.setAttribute(key, attributes[key]);
    c.svg.append(node);
    c.marks.push(node);
  };
  const place = (c, x) => {
    c.marks.forEach(m => m.remove());
    c.marks = [];
    if (x === null) return c.out?.replaceChildren(...c.rest);
    const [x0, x1] = c.data.x, [log, y0, y1] = c.data.y, at = (x - x0) / (x1 - x0) * 100 + '%', form = forms[c.data.form];
    mark(c, 'line', { class: 'cur', x1: at, x2: at, y1: 0, y2: '100%' });
    const said = [make('span', '', make('b', '', places[c.figure.dataset.x](x)))];
    let run = '';
    for (const [key, letter, name, grid, values] of c.data.series) {
      const xs = c.data.grids[grid];
      if (x > xs[xs.length - 1] + (x1 - x0) * .002 || x < xs[0] - (x1 - x0) * .01) continue;
      const v = values[before(xs, x)];
      if (v === null) continue;
      const up = log ? Math.log(v / y0) / Math.log(y1 / y0) : (v - y0) / (y1 - y0);
      if (up >= 0 && up <= 1) mark(c, 'circle', { class: 'curdot ' + key, cx: at, cy: (1 - up) * 100 + '%', r: 4 });
      said.push(make('span', '', ...(letter === run ? [] : [make('span', 'chip ' + key, letter)]), name + ' ', make('b', '', form(v))));
      run = letter;
    }
    c.out?.replaceChildren(...said);
  };
  const move = (from, x) => charts.forEach(c => { if (c === from || c.figure.dataset.x === from.figure.dataset.x) place(c, x); });
  for (const c of charts) {
    const [x0, x1] = c.data.x;
    let key = null;
    c.plot.addEventListener('pointermove', e => {
      const box = c.svg.getBoundingClientRect();
      move(c, x0 + Math.min(1, Math.max(0, (e.clientX - box.left) / box.width)) * (x1 - x0));
    });
    c.plot.addEventListener('pointerleave', () => move(c, null));
    if (!c.out) continue;
    c.plot.addEventListener('focus', () => c.out.setAttribute('aria-live', 'polite'));
    c.plot.addEventListener('blur', () => { c.out.setAttribute('aria-live', 'off'); key = null; move(c, null); });
    c.plot.addEventListener('keydown', e => {
      const by = { ArrowLeft: -.01, ArrowRight: .01, PageDown: -.1, PageUp: .1, Home: -9, End: 9 }[e.key];
      if (e.key === 'Escape') {
        key = null;
        move(c, null);
      } else if (by && !e.ctrlKey && !e.metaKey && !e.altKey) {
        key = Math.min(1, Math.max(0, (key ?? 1) + by));
        move(c, x0 + key * (x1 - x0));
        e.preventDefault();
      }
    });
  }
  for (const button of document.querySelectorAll('button[data-copy]')) button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(button.previousElementSibling);
      button.textContent = 'Selected';
    }
    setTimeout(() => { button.textContent = 'Copy'; }, 1600);
  });
})();
