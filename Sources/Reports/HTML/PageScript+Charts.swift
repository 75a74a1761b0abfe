extension PageScript {
    /// Pictures as SVG, drawn for the width at hand and again when it changes.
    static let charts = #"""
        const chartsToDraw = [];
        function chart(id, height, label, make) {
          const place = $(id);
          if (!place) return;
          const tipNode = el('div', { class: 'tip', hidden: true });
          const render = () => {
            if (!place.isConnected) return;
            const style = getComputedStyle(place), width = Math.max(220, place.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
            const tall = typeof height === 'function' ? height(width) : height;
            const picture = draw('svg', { viewBox: `0 0 ${width} ${tall}`, width, height: tall, role: 'img', 'aria-label': label });
            const hover = make(picture, width, tall, code => code.startsWith('--') ? getComputedStyle(document.documentElement).getPropertyValue(code).trim() : colour(code));
            place.hidden = !picture.childNodes.length;
            if (hover) {
              const mark = draw('line', { y1: 0, y2: tall - 22, stroke: 'currentColor', 'stroke-opacity': 0.35, visibility: 'hidden' });
              picture.append(mark);
              picture.addEventListener('pointermove', event => {
                const found = hover(event.clientX - picture.getBoundingClientRect().left);
                if (!found) { tipNode.hidden = true; mark.setAttribute('visibility', 'hidden'); return; }
                mark.setAttribute('x1', found.x); mark.setAttribute('x2', found.x); mark.setAttribute('visibility', 'visible');
                tipNode.replaceChildren(el('b', {}, found.title), ...found.lines.map(line => el('div', {}, line)));
                tipNode.hidden = false;
                tipNode.style.left = Math.max(0, found.x + 30 + tipNode.offsetWidth > width ? found.x - tipNode.offsetWidth - 4 : found.x + 26) + 'px';
                tipNode.style.top = '18px';
              });
              picture.addEventListener('pointerleave', () => { tipNode.hidden = true; mark.setAttribute('visibility', 'hidden'); });
            }
            (place.querySelector('svg') || place.insertBefore(document.createElement('i'), place.firstChild)).replaceWith(picture);
            if (!tipNode.isConnected) place.append(tipNode);
          };
          let last = 0;
          new ResizeObserver(() => { if (Math.abs(place.clientWidth - last) > 1) { last = place.clientWidth; render(); } }).observe(place);
          repaint.push(render);
          last = place.clientWidth;
          render();
        }
        const path = points => points.map(([x, y], i) => (i ? 'L' : 'M') + x.toFixed(1) + ' ' + y.toFixed(1)).join('');
        function axes(picture, { left, right, top, bottom, x, y, xTicks, yTicks, xLabel, yLabel, line }) {
          for (const [value, label] of yTicks) picture.append(draw('line', { x1: left, x2: right, y1: y(value), y2: y(value), stroke: line }),
            draw('text', { x: left - 7, y: y(value) + 4, 'text-anchor': 'end' }, label));
          for (const [value, label] of xTicks) picture.append(draw('line', { x1: x(value), x2: x(value), y1: bottom, y2: bottom + 4, stroke: line }),
            draw('text', { x: x(value), y: bottom + 17, 'text-anchor': x(value) > right - 16 ? 'end' : 'middle' }, label));
          if (yLabel) picture.append(draw('text', { x: left, y: top - 8 }, yLabel));
          if (xLabel) picture.append(draw('text', { x: right, y: bottom + 33, 'text-anchor': 'end' }, xLabel));
        }

        // Bands stacked in a fixed order, productive compute lowest.
        function goodputChart(picture, width, height, ink) {
          const g = D.goodput, count = g.provisioned.length;
          if (!count) return null;
          const left = 46, right = width - 4, top = 8, bottom = height - 24, total = D.timeline.total;
          const x = ns => left + ns / total * (right - left), y = share => bottom - share * (bottom - top);
          axes(picture, { left, right, top, bottom, x, y, line: ink('--line'), yTicks: [0, 0.25, 0.5, 0.75, 1].map(v => [v, percent(v, 0)]), xTicks: ticks(0, total / 1e9, Math.max(3, width / 120)).map(s => [s * 1e9, grouped(s) + ' s']) });
          const order = ['P', 'E', 'S', 'H', 'I', 'K', 'D', 'Q', 'W', 'F'].filter(group => g.groups[group]), base = new Array(count).fill(0);
          const edge = i => Math.min(i * g.bucket, total);
          for (const group of order) {
            const upper = [], lower = [];
            for (let i = 0; i < count; i++) {
              const whole = g.provisioned[i] || 1, share = g.groups[group][i] / whole;
              lower.push([x(edge(i)), y(base[i])], [x(edge(i + 1)), y(base[i])]);
              base[i] += share;
              upper.push([x(edge(i)), y(base[i])], [x(edge(i + 1)), y(base[i])]);
            }
            picture.append(draw('path', { d: path(upper) + path(lower.reverse()).replace('M', 'L') + 'Z', fill: ink(D.categories.find(c => c.group === group).code) }));
          }
          return px => {
            const i = Math.floor((px - left) / (right - left) * total / g.bucket);
            if (i < 0 || i >= count) return null;
            return { x: x((edge(i) + edge(i + 1)) / 2), title: `${seconds(edge(i), 2)} s to ${seconds(edge(i + 1), 2)} s`,
              lines: order.filter(group => g.groups[group][i] > 0).map(group => `${groupName[group]}: ${percent(g.groups[group][i] / (g.provisioned[i] || 1), 1)}`) };
          };
        }

        function noiseChart(picture, width, height, ink) {
          const points = D.contribution.noise, batch = D.contribution.batchSequences, left = 52, right = width - 6, top = 22, bottom = height - 24;
          const values = points.map(p => p[1]).concat(batch || []), low = Math.log10(Math.max(1e-3, Math.min(...values))) - 0.1, high = Math.log10(Math.max(...values)) + 0.1;
          const first = points[0][0], last = Math.max(first + 1, points[points.length - 1][0]);
          const x = step => left + (step - first) / (last - first) * (right - left), y = value => bottom - (Math.log10(Math.max(1e-3, value)) - low) / (high - low) * (bottom - top);
          const decades = [];
          for (let e = Math.floor(low); e <= high; e++) for (const m of high - low > 2.5 ? [1] : [1, 2, 5]) { const v = m * 10 ** e; if (Math.log10(v) >= low && Math.log10(v) <= high) decades.push([v, v >= 1 ? grouped(v) : String(v)]); }
          axes(picture, { left, right, top, bottom, x, y, line: ink('--line'), yTicks: decades, xTicks: ticks(first, last, Math.max(3, width / 110)).map(s => [s, grouped(s)]), yLabel: 'sequences, logarithmic, by step' });
          if (batch) picture.append(draw('line', { x1: left, x2: right, y1: y(batch), y2: y(batch), stroke: ink('--muted'), 'stroke-dasharray': '5 4' }), draw('text', { x: right, y: y(batch) - 6, 'text-anchor': 'end' }, 'batch'));
          picture.append(draw('path', { d: path(points.map(p => [x(p[0]), y(p[1])])), fill: 'none', stroke: ink('--accent'), 'stroke-width': 1.75 }));
          return px => {
            const step = first + (px - left) / (right - left) * (last - first), p = points.reduce((a, b) => Math.abs(b[0] - step) < Math.abs(a[0] - step) ? b : a);
            return { x: x(p[0]), title: `step ${grouped(p[0])}`, lines: [`${fixed(p[1], 1)} sequences`] };
          };
        }

        function startCharts() {
          chart('goodput-chart', width => width < 500 ? 210 : 260, 'Shares of worker time over the run; the table above has the totals', goodputChart);
          const order = ['P', 'E', 'S', 'H', 'I', 'K', 'D', 'Q', 'W', 'F'].filter(group => D.goodput.groups[group]);
          if (order.length) $('goodput-chart').append(el('ul', { class: 'legend', 'aria-label': 'Bands, lowest first' }, order.map(group =>
            el('li', { class: 'key' }, swatch(D.categories.find(c => c.group === group).code), groupName[group]))));
          chart('loss-chart', width => lossHeight(width), 'Training and validation loss by step, and the measured effect of each window; the table of windows has the figures', lossChart);
          chart('noise-chart', 200, 'Gradient noise scale by step', noiseChart);
          showLossLegend();
        }

        """#

    static let losses = #"""
        const hasWindows = D.contribution.windows.length > 0;
        const lossHeight = width => (width < 500 ? 250 : 330) + (hasWindows ? 190 : 0);

        // Above: losses. Below, on the same steps: what each window did to held-out loss, with its interval, on an axis that is
        // linear around zero and logarithmic away from it.
        function lossChart(picture, width, height, ink) {
          const L = D.loss, all = L.training.map(p => p[0]).concat(L.validation.map(p => p[0]), L.probes.map(p => p[0]));
          if (!all.length) return null;
          const left = 52, right = width - 8, top = 22, bottom = height - 40 - (hasWindows ? 190 : 0);
          const first = Math.min(...all), last = Math.max(first + 1, ...all), x = step => left + (step - first) / (last - first) * (right - left);
          const losses = L.training.map(p => p[1]).concat(L.validation.map(p => p[1]), L.probes.map(p => p[2]), L.floor === undefined ? [] : [L.floor]).filter(v => typeof v === 'number');
          const low = Math.min(...losses), high = Math.max(...losses), pad = (high - low || 1) * 0.04, y = v => bottom - (v - low + pad) / (high - low + 2 * pad) * (bottom - top);
          const xTicks = ticks(first, last, Math.max(3, width / 110)).map(s => [s, grouped(s)]), line = ink('--line');
          axes(picture, { left, right, top, bottom, x, y, line, xTicks: hasWindows ? [] : xTicks, yTicks: ticks(low, high, 5).map(v => [v, fixed(v, high - low < 1 ? 2 : 1)]), yLabel: 'nats per token', xLabel: hasWindows ? null : 'step' });
          if (typeof L.floor === 'number') picture.append(draw('line', { x1: left, x2: right, y1: y(L.floor), y2: y(L.floor), stroke: ink('--ink'), 'stroke-dasharray': '2 4' }), draw('text', { x: (left + right) / 2, y: y(L.floor) - 6, 'text-anchor': 'middle' }, 'floor'));
          const solid = L.training.filter(p => typeof p[1] === 'number');
          if (L.stride > 1) picture.append(draw('path', { d: path(solid.map(p => [x(p[0]), y(p[3])])) + path(solid.map(p => [x(p[0]), y(p[2])]).reverse()).replace('M', 'L') + 'Z', fill: ink('--muted'), 'fill-opacity': 0.2 }));
          picture.append(draw('path', { d: path(solid.map(p => [x(p[0]), y(p[1])])), fill: 'none', stroke: ink('--muted'), 'stroke-width': 1.4, 'stroke-linejoin': 'round' }));
          const dots = (points, stroke, shape) => {
            const valid = points.filter(p => typeof p[1] === 'number');
            picture.append(draw('path', { d: path(valid.map(p => [x(p[0]), y(p[1])])), fill: 'none', stroke, 'stroke-width': 2 }));
            if (valid.length <= 80) for (const p of valid) picture.append(shape === 'square' ? draw('rect', { x: x(p[0]) - 3, y: y(p[1]) - 3, width: 6, height: 6, fill: stroke }) : draw('circle', { cx: x(p[0]), cy: y(p[1]), r: 3.2, fill: stroke }));
          };
          dots(L.probes.map(p => [p[0], p[2]]), ink('E1'), 'square');
          dots(L.validation, ink('--accent'));
          if (hasWindows) windowPanel(picture, { left, right, top: bottom + 44, bottom: height - 40, x, xTicks, line, ink });
          const nearest = (points, step) => points.length ? points.reduce((a, b) => Math.abs(b[0] - step) < Math.abs(a[0] - step) ? b : a) : null;
          return px => {
            const step = first + (px - left) / (right - left) * (last - first);
            if (step < first - 1 || step > last + 1) return null;
            const t = nearest(L.training, step), v = nearest(L.validation, step), w = D.contribution.windows.find(w => step > w.start && step <= w.end), at = t ? t[0] : Math.round(step);
            return { x: x(at), title: `step ${grouped(at)}`, lines: [t && typeof t[1] === 'number' && `training ${fixed(t[1], 4)}` + (L.stride > 1 ? ` (${fixed(t[2], 3)} to ${fixed(t[3], 3)} around)` : ''),
              v && typeof v[1] === 'number' && `validation ${fixed(v[1], 4)} at step ${grouped(v[0])}`, w && `window ${grouped(w.start)}–${grouped(w.end)}: ${signed(w.audit.change)}, ${w.audit.verdict}`].filter(Boolean) };
          };
        }
        function windowPanel(picture, { left, right, top, bottom, x, xTicks, line, ink }) {
          const windows = D.contribution.windows.filter(w => typeof w.audit.change === 'number');
          const widths = windows.map(w => (w.audit.detectable || 0)).filter(v => v > 0).sort((a, b) => a - b), linear = Math.max(1e-6, widths[Math.floor(widths.length / 2)] || 1e-3);
          const bend = v => Math.sign(v) * Math.log1p(Math.abs(v) / linear);
          const ends = windows.flatMap(w => [w.audit.change, w.audit.low, w.audit.high]).filter(v => typeof v === 'number');
          const low = bend(Math.min(0, ...ends)), high = bend(Math.max(0, ...ends)), pad = (high - low || 1) * 0.08, y = v => bottom - (bend(v) - low + pad) / (high - low + 2 * pad) * (bottom - top);
          const marks = [0];
          for (let e = Math.ceil(Math.log10(linear)); e < 3; e++) for (const v of [-(10 ** e), 10 ** e]) if (bend(v) >= low - pad && bend(v) <= high + pad) marks.push(v);
          const yTicks = marks.filter((v, i) => !v || marks.every((w, j) => j >= i || Math.abs(y(v) - y(w)) > 15)).map(v => [v, v === 0 ? '0' : (v > 0 ? '+' : '−') + String(Math.abs(+v.toPrecision(1)))]);
          axes(picture, { left, right, top, bottom, x, y, line, xTicks, yTicks, yLabel: right - left < 420 ? 'change in each window, 95 % interval' : 'change of held-out loss in each window, with its 95 % interval', xLabel: 'step' });
          picture.append(draw('line', { x1: left, x2: right, y1: y(0), y2: y(0), stroke: ink('--muted') }));
          const tone = { contributed: ink('--good'), harmful: ink('--bad'), indeterminate: ink('--muted') };
          for (const w of windows) {
            const a = w.audit, stroke = tone[a.verdict], middle = (x(w.start) + x(w.end)) / 2, half = Math.max(1, Math.min(40, (x(w.end) - x(w.start)) / 2 - 1)), r = Math.max(2, Math.min(4, half));
            picture.append(draw('line', { x1: x(w.start) + 1, x2: x(w.end) - 1, y1: y(a.change), y2: y(a.change), stroke, 'stroke-width': 1.5, 'stroke-opacity': 0.55 }));
            if (typeof a.low === 'number') picture.append(draw('line', { x1: middle, x2: middle, y1: y(a.low), y2: y(a.high), stroke, 'stroke-width': 1.5 }));
            picture.append(a.verdict === 'harmful' ? draw('path', { d: `M${middle} ${y(a.change) - r - 1}l${r + 1} ${2 * r}h${-2 * r - 2}Z`, fill: stroke })
              : draw('circle', { cx: middle, cy: y(a.change), r, fill: a.verdict === 'contributed' ? stroke : ink('--surface'), stroke, 'stroke-width': 1.5 }));
          }
        }
        function showLossLegend() {
          const L = D.loss, lead = [];
          if (L.training.length) lead.push(L.stride > 1 ? `The training loss is the mean of ${plural(L.stride, 'step')} at a time, within their range.` : 'The training loss is that of each step’s own text, before its update.');
          if (hasWindows) lead.push('Below it, what each window of steps did to the loss of text that is never trained on.');
          $('loss-lead').textContent = lead.join(' ');
          const keys = [];
          const bar = background => el('span', { class: 'swatch', style: `background:${background};height:4px;vertical-align:3px` });
          if (L.training.length) keys.push([bar('var(--muted)'), 'training']);
          if (L.validation.length) keys.push([bar('var(--accent)'), 'validation']);
          if (L.probes.length) keys.push([paint(el('span', { class: 'swatch', style: 'height:8px;width:8px' }), 'E1'), 'audit probe']);
          if (hasWindows) keys.push([el('span', { class: 'verdict-contributed', 'aria-hidden': 'true' }, '●'), 'contributed'], [el('span', { class: 'verdict-indeterminate', 'aria-hidden': 'true' }, '○'), 'indeterminate'], [el('span', { class: 'verdict-harmful', 'aria-hidden': 'true' }, '▲'), 'harmful']);
          if (keys.length) $('loss-chart').append(el('ul', { class: 'legend', 'aria-label': 'Key' }, keys.map(([mark, label]) => el('li', { class: 'key' }, mark, label))));
          else $('loss-chart').replaceWith(el('p', {}, 'No step was committed.'));
        }

        """#
}
