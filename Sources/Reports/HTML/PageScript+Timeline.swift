extension PageScript {
    /// The picture: one row per slot, one category per pixel, the one with the largest share of it.
    static let timeline = #"""
        const T = { total: Math.max(1, D.timeline.total), from: 0, to: Math.max(1, D.timeline.total), row: 0, cursor: null, only: null, rows: [], incident: -1 };
        const NOTHING = D.categories.length;
        function letterIndex(code) { return code === 95 ? NOTHING : code <= 90 ? code - 65 : code - 97 + 26; }
        function parseRow({ slot, pieces }) {
          const starts = [], categories = [], merged = [];
          let time = 0, length = 0, isMerged = false;
          for (let i = 0; i < pieces.length; i++) {
            const code = pieces.charCodeAt(i);
            if (code >= 48 && code <= 57) { length = 10 * length + code - 48; continue; }
            if (code === 126) { isMerged = true; continue; }
            starts.push(time);
            categories.push(letterIndex(code));
            merged.push(isMerged);
            time += length * 1000;
            length = 0;
            isMerged = false;
          }
          starts.push(time);
          return { slot, starts: Float64Array.from(starts), categories: Uint8Array.from(categories), merged };
        }
        function pieceAt(row, time) {
          let low = 0, high = row.categories.length - 1;
          while (low < high) { const middle = (low + high + 1) >> 1; if (row.starts[middle] <= time) low = middle; else high = middle - 1; }
          return low;
        }
        // The category of each of `width` pixels between two times.
        function pixels(row, from, to, width) {
          const result = new Uint8Array(width).fill(NOTHING), weight = new Float64Array(NOTHING + 1), touched = [];
          const scale = width / (to - from);
          let pixel = -1;
          const flush = () => {
            if (pixel >= 0 && pixel < width && touched.length) result[pixel] = touched.reduce((a, b) => weight[b] > weight[a] ? b : a);
            for (const c of touched) weight[c] = 0;
            touched.length = 0;
          };
          for (let i = pieceAt(row, from); i < row.categories.length && row.starts[i] < to; i++) {
            const a = Math.max(0, (row.starts[i] - from) * scale), b = Math.min(width, (row.starts[i + 1] - from) * scale), c = row.categories[i];
            const first = Math.floor(a), last = Math.min(width - 1, Math.floor(b));
            for (let p = first; p <= last; p++) {
              if (p !== pixel) { flush(); pixel = p; }
              if (p > first && p < last) { result[p] = c; continue; }
              if (!weight[c] && !touched.includes(c)) touched.push(c);
              weight[c] += Math.min(b, p + 1) - Math.max(a, p);
            }
          }
          flush();
          return result;
        }
        function geometry() {
          const canvas = $('timeline-canvas'), width = Math.max(200, canvas.parentElement.clientWidth - parseFloat(getComputedStyle(canvas.parentElement).paddingLeft) * 2);
          const many = T.rows.length, row = many > 24 ? 12 : many > 10 ? 18 : 28, gutter = width < 500 ? 26 : 58;
          return { canvas, width, gutter, row, gap: many > 24 ? 2 : 5, top: 20, height: 20 + many * (row + (many > 24 ? 2 : 5)) + 26 };
        }
        function drawTimeline() {
          const g = geometry(), ratio = Math.min(3, window.devicePixelRatio || 1), style = getComputedStyle(document.documentElement), c = g.canvas.getContext('2d');
          const ink = style.getPropertyValue('--ink'), muted = style.getPropertyValue('--muted'), line = style.getPropertyValue('--line'), bad = style.getPropertyValue('--bad');
          g.canvas.width = Math.round(g.width * ratio);
          g.canvas.height = Math.round(g.height * ratio);
          g.canvas.style.height = g.height + 'px';
          c.setTransform(ratio, 0, 0, ratio, 0, 0);
          c.clearRect(0, 0, g.width, g.height);
          c.font = '12px ' + style.getPropertyValue('--sans');
          const plot = g.width - g.gutter, x = time => g.gutter + (time - T.from) / (T.to - T.from) * plot, bottom = g.top + T.rows.length * (g.row + g.gap);
          const colours = D.categories.map(category => T.only && T.only !== category.code ? line : colour(category.code));
          const device = Math.max(1, Math.round(plot * ratio));
          T.rows.forEach((row, at) => {
            const y = g.top + at * (g.row + g.gap), row_ = pixels(row, T.from, T.to, device);
            for (let p = 0; p < device;) {
              let q = p + 1;
              while (q < device && row_[q] === row_[p]) q++;
              if (row_[p] !== NOTHING) { c.fillStyle = colours[row_[p]]; c.fillRect(g.gutter + p / ratio, y, (q - p) / ratio, g.row); }
              p = q;
            }
            c.fillStyle = at === T.row && document.activeElement === g.canvas ? ink : muted;
            c.textBaseline = 'middle';
            if (g.row >= 12) c.fillText(g.gutter > 30 ? 'slot ' + row.slot : String(row.slot), 0, y + g.row / 2);
          });
          c.fillStyle = muted;
          c.textBaseline = 'top';
          const marks = ticks(T.from / 1e9, T.to / 1e9, Math.max(2, plot / 110)), digits = Math.max(0, -Math.floor(Math.log10(Math.max(1e-9, (marks[1] || 1) - marks[0])) + 1e-9));
          c.strokeStyle = line;
          c.lineWidth = 1;
          for (const mark of marks) {
            const at = Math.round(x(mark * 1e9)) + 0.5, label = fixed(mark, Math.min(9, digits)) + ' s';
            c.beginPath(); c.moveTo(at, bottom); c.lineTo(at, bottom + 5); c.stroke();
            c.textAlign = at < g.gutter + 20 ? 'left' : at > g.width - 24 ? 'right' : 'center';
            c.fillText(label, at, bottom + 8);
          }
          c.textAlign = 'left';
          c.setLineDash([4, 4]);
          c.strokeStyle = ink;
          for (const session of D.timeline.sessions.slice(1)) if (session.start >= T.from && session.start <= T.to) {
            c.beginPath(); c.moveTo(x(session.start), g.top - 6); c.lineTo(x(session.start), bottom); c.stroke();
          }
          c.setLineDash([]);
          const visible = D.incidents.filter(i => i.at >= T.from && i.at <= T.to);
          c.strokeStyle = c.fillStyle = bad;
          visible.forEach(i => {
            const at = x(i.at);
            if (visible.length <= 150) { c.globalAlpha = 0.6; c.beginPath(); c.moveTo(at, g.top - 6); c.lineTo(at, bottom); c.stroke(); c.globalAlpha = 1; }
            c.beginPath(); c.moveTo(at - 4.5, 4); c.lineTo(at + 4.5, 4); c.lineTo(at, 13); c.fill();
          });
          if (T.cursor !== null && document.activeElement === g.canvas) {
            const row = T.rows[T.row], i = pieceAt(row, T.cursor), a = Math.max(g.gutter, x(row.starts[i])), b = Math.min(g.width, x(row.starts[i + 1]));
            c.strokeStyle = ink;
            c.lineWidth = 2;
            c.strokeRect(a + 1, g.top + T.row * (g.row + g.gap) - 1, Math.max(2, b - a - 2), g.row + 2);
          }
          $('timeline-status').textContent = T.from <= 0 && T.to >= T.total ? `all ${duration(T.total)}` : `${seconds(T.from)} s to ${seconds(T.to)} s of ${duration(T.total)}`;
        }
        function describe(row, time) {
          const i = pieceAt(row, time), c = row.categories[i], from = row.starts[i], to = row.starts[i + 1];
          const category = c === NOTHING ? null : D.categories[c];
          const near = D.incidents.filter(incident => incident.slot === row.slot && incident.at >= from - 2000 && incident.at <= to)[0];
          return { title: (row.merged[i] ? 'mostly ' : '') + (category ? `${category.code} ${category.name}` : 'unaccounted'), lines: [
            `slot ${row.slot}, ${fixed(from / 1e9, 4)} s to ${fixed(to / 1e9, 4)} s: ${duration(to - from)}`, row.merged[i] ? `many short stretches, of less than ${duration(D.timeline.resolution)} each` : category ? category.definition : 'nothing is known of this time',
            near && `incident ${near.number}: ${near.what}`].filter(Boolean) };
        }

        """#

    static let timelineControls = #"""
        let waiting = false;
        function redraw() {
          if (waiting) return;
          waiting = true;
          requestAnimationFrame(() => { waiting = false; drawTimeline(); });
        }
        function look(from, to) {
          const width = Math.min(T.total, Math.max(2000, to - from));
          T.from = Math.min(Math.max(0, from), T.total - width);
          T.to = T.from + width;
          redraw();
        }
        const zoom = (factor, at = (T.from + T.to) / 2) => look(at - (at - T.from) * factor, at + (T.to - at) * factor);
        const pan = share => look(T.from + share * (T.to - T.from), T.to + share * (T.to - T.from));
        function showIncident(incident) {
          T.incident = D.incidents.indexOf(incident);
          T.row = Math.max(0, T.rows.findIndex(row => row.slot === incident.slot));
          T.cursor = incident.at;
          const width = Math.min(T.total, Math.max(4e6, 3 * Math.max(incident.detection || 0, Math.abs(incident.delay || 0), incident.cost / Math.max(1, T.rows.length)), T.total / 400));
          look(incident.at - width * 0.35, incident.at + width * 0.65);
          $('timeline').scrollIntoView({ behavior: calm.matches ? 'auto' : 'smooth' });
          $('timeline-canvas').focus({ preventScroll: true });
          say(`incident ${incident.number}: ${incident.what}`);
        }
        function nextIncident(direction) {
          if (!D.incidents.length) return;
          const order = [...D.incidents].sort((a, b) => a.at - b.at), now = D.incidents[T.incident];
          const at = now ? order.indexOf(now) + direction : direction > 0 ? 0 : order.length - 1;
          showIncident(order[(at + order.length) % order.length]);
        }
        function say(text) { $('timeline-live').textContent = text; }
        function tip(event) {
          const g = geometry(), box = g.canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
          const at = Math.floor((py - g.top) / (g.row + g.gap)), node = $('timeline-tip');
          const time = T.from + (px - g.gutter) / (g.width - g.gutter) * (T.to - T.from);
          const marker = py < g.top && D.incidents.find(i => Math.abs((i.at - time) / (T.to - T.from) * (g.width - g.gutter)) < 6);
          if (!marker && (px < g.gutter || at < 0 || at >= T.rows.length)) { node.hidden = true; return; }
          const text = marker ? { title: `Incident ${marker.number}`, lines: [marker.what, `${milliseconds(marker.cost)} worker-ms: ${billText(marker.bill)}`] } : describe(T.rows[at], time);
          node.replaceChildren(el('b', {}, text.title), ...text.lines.map(line => el('div', {}, line)));
          node.hidden = false;
          const left = Math.min(px + 26, g.width - node.offsetWidth);
          node.style.left = Math.max(0, left) + 'px';
          node.style.top = (py + 30) + 'px';
        }
        function startTimeline() {
          T.rows = D.timeline.rows.map(parseRow);
          if (!T.rows.length) { $('timeline-canvas').parentElement.replaceWith(el('p', {}, 'No slot was ever open.')); repaint.length = 1; return; }
          const canvas = $('timeline-canvas'), button = (label, text, action) => el('button', { type: 'button', class: 'button', 'aria-label': label, title: label, onclick: action }, text);
          $('timeline-tools').append(button('Zoom in', '+', () => zoom(0.5)), button('Zoom out', '−', () => zoom(2)), button('Earlier', '←', () => pan(-0.4)), button('Later', '→', () => pan(0.4)),
            button('Show everything', 'All', () => look(0, T.total)), ...(D.incidents.length ? [button('Previous incident', '‹ ▾', () => nextIncident(-1)), button('Next incident', '▾ ›', () => nextIncident(1))] : []),
            el('span', { class: 'status', id: 'timeline-status' }));
          const present = D.categories.filter(c => D.accounts.byCategory[c.code]);
          $('timeline-legend').append(...present.map(c => el('li', {}, el('button', { type: 'button', 'aria-pressed': 'false', title: c.definition, onclick: event => {
            T.only = T.only === c.code ? null : c.code;
            for (const b of $('timeline-legend').querySelectorAll('button')) b.setAttribute('aria-pressed', String(b === event.currentTarget && T.only === c.code));
            redraw();
          } }, swatch(c.code), `${c.code} ${c.name}`))));
          $('timeline-note').textContent = (D.timeline.resolution ? `The picture is condensed: neighbouring stretches shorter than ${duration(D.timeline.resolution)} are merged, and each shows the category with the largest share. The tables are exact. ` : '')
            + (D.timeline.sessions.length > 1 ? 'Dashed lines: a new session; the time between sessions is left out. ' : '') + (D.incidents.length ? 'Triangles: incidents.' : '');
          const fingers = new Map();
          canvas.addEventListener('pointerdown', event => { fingers.set(event.pointerId, event.clientX); canvas.setPointerCapture(event.pointerId); canvas.classList.add('dragging'); });
          canvas.addEventListener('pointermove', event => {
            if (!fingers.has(event.pointerId)) { tip(event); return; }
            const before = [...fingers.values()], g = geometry(), plot = g.width - g.gutter, left = canvas.getBoundingClientRect().left + g.gutter;
            fingers.set(event.pointerId, event.clientX);
            const after = [...fingers.values()];
            $('timeline-tip').hidden = true;
            if (after.length === 1) { pan((before[0] - after[0]) / plot); return; }
            const spread = Math.abs(before[0] - before[1]) / Math.max(8, Math.abs(after[0] - after[1])), middle = (after[0] + after[1]) / 2;
            zoom(spread, T.from + (middle - left) / plot * (T.to - T.from));
          });
          for (const kind of ['pointerup', 'pointercancel']) canvas.addEventListener(kind, event => { fingers.delete(event.pointerId); if (!fingers.size) canvas.classList.remove('dragging'); });
          canvas.addEventListener('pointerleave', () => { $('timeline-tip').hidden = true; });
          canvas.addEventListener('wheel', event => {
            const g = geometry(), at = T.from + (event.clientX - canvas.getBoundingClientRect().left - g.gutter) / (g.width - g.gutter) * (T.to - T.from);
            if (event.ctrlKey || event.metaKey) { event.preventDefault(); zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 150))), at); }
            else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) { event.preventDefault(); pan((event.deltaX || event.deltaY) / 800); }
          }, { passive: false });
          canvas.addEventListener('dblclick', event => {
            const g = geometry();
            zoom(0.4, T.from + (event.clientX - canvas.getBoundingClientRect().left - g.gutter) / (g.width - g.gutter) * (T.to - T.from));
          });
          const step = direction => {
            const row = T.rows[T.row];
            if (T.cursor === null) T.cursor = (T.from + T.to) / 2;
            else { const i = Math.min(row.categories.length - 1, Math.max(0, pieceAt(row, T.cursor) + direction)); T.cursor = (row.starts[i] + row.starts[i + 1]) / 2; }
            if (T.cursor < T.from || T.cursor > T.to) look(T.cursor - (T.to - T.from) / 2, T.cursor + (T.to - T.from) / 2);
            const text = describe(row, T.cursor);
            say(`${text.title}: ${text.lines[0]}`);
            redraw();
          };
          const keys = {
            ArrowLeft: e => e.shiftKey ? step(-1) : pan(-0.15), ArrowRight: e => e.shiftKey ? step(1) : pan(0.15), '+': () => zoom(0.6), '=': () => zoom(0.6), '-': () => zoom(1 / 0.6), _: () => zoom(1 / 0.6),
            0: () => look(0, T.total), Home: () => look(0, T.to - T.from), End: () => look(T.total - (T.to - T.from), T.total), n: () => nextIncident(1), N: () => nextIncident(1), p: () => nextIncident(-1), P: () => nextIncident(-1),
            ArrowUp: () => { T.row = Math.max(0, T.row - 1); say('slot ' + T.rows[T.row].slot); redraw(); }, ArrowDown: () => { T.row = Math.min(T.rows.length - 1, T.row + 1); say('slot ' + T.rows[T.row].slot); redraw(); },
          };
          canvas.addEventListener('keydown', event => {
            if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
            event.preventDefault();
            keys[event.key](event);
          });
          canvas.addEventListener('focus', redraw);
          canvas.addEventListener('blur', redraw);
          new ResizeObserver(redraw).observe(canvas.parentElement);
          repaint.push(redraw);
          drawTimeline();
        }

        """#
}
