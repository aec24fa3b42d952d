// The read-out of a scored text: point at a token, click it, or step with the arrow keys. #t8 names the eighth token.
(() => {
  const rows = JSON.parse(document.getElementById('tokens').textContent);
  const text = document.querySelector('.text'), card = document.querySelector('.card');
  const spans = [...text.querySelectorAll('[data-i]')], rest = [...card.childNodes];
  let shown = -1, pinned = -1;
  const make = (tag, name, ...children) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    node.append(...children);
    return node;
  };
  const percent = p => p < 5e-5 ? '<0.01\u00a0%' : (100 * p).toFixed(p >= .1 ? 0 : p >= .01 ? 1 : 2) + '\u00a0%';
  const odds = (token, p, rivals) => {
    const all = [...rivals.map(r => [...r, '']), [token, p, 'this']].sort((a, b) => b[1] - a[1]);
    const body = make('tbody', '', ...all.map(([t, q, name]) => {
      const bar = make('span', 'bar');
      bar.style.width = Math.max(1, 100 * q / all[0][1]) + '%';
      return make('tr', name, make('td', '', t), make('td', '', percent(q)), make('td', '', bar));
    }));
    return make('table', 'odds', make('caption', '', 'expected here'), body);
  };
  const read = i => {
    const [token, loss, rank, rivals] = rows[i], number = (i + 1).toLocaleString('en');
    const name = make('p', 'tok', token);
    if (loss === null)
      return [make('p', 'soft', 'token 1'), name, make('p', '', 'Nothing stands before it, so it is not predicted.')];
    const p = Math.exp(-loss), times = p > .1 ? (1 / p).toFixed(1) : Math.round(1 / p).toLocaleString('en');
    return [
      make('p', 'soft', `token ${number} of ${(+text.dataset.tokens).toLocaleString('en')} · rank ${rank.toLocaleString('en')}`), name,
      make('p', '', make('b', '', `${loss.toFixed(2)} nats`), ` (${(loss / Math.LN2).toFixed(2)} bits), 1 in ${times}`),
      odds(token, p, rivals),
    ];
  };
  const show = i => {
    if (shown >= 0) spans[shown].classList.remove('on');
    if (i >= 0) spans[i].classList.add('on');
    shown = i;
    card.classList.toggle('live', i >= 0);
    card.replaceChildren(...(i < 0 ? rest : read(i)));
  };
  const pin = i => {
    text.querySelector('[tabindex="0"]').tabIndex = -1;
    spans[i].tabIndex = 0;
    show(pinned = i);
  };
  const index = event => { const span = event.target.closest('[data-i]'); return span ? +span.dataset.i : -1; };
  text.addEventListener('pointerover', e => { if (e.pointerType === 'mouse' && index(e) >= 0) show(index(e)); });
  text.addEventListener('pointerleave', () => show(pinned));
  text.addEventListener('focusin', e => { if (index(e) >= 0) pin(index(e)); });
  text.addEventListener('click', e => { if (index(e) >= 0) spans[index(e)].focus(); });
  text.addEventListener('keydown', e => {
    const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 10, ArrowUp: -10, Home: -Infinity, End: Infinity }[e.key];
    if (e.key === 'Escape') show(pinned = -1);
    else if (by && !e.ctrlKey && !e.metaKey && !e.altKey) {
      spans[Math.min(spans.length - 1, Math.max(0, index(e) + by))].focus();
      e.preventDefault();
    }
  });
  const place = /^#t(\d+)$/.exec(location.hash);
  if (place && spans[place[1] - 1]) pin(place[1] - 1);
})();
