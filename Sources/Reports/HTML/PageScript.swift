/// The page's script, in the order it runs. Text from the record only ever becomes text nodes.
enum PageScript {
    static let text = "'use strict';\n(() => {\n" + core + colours + tables + sections + contribution + timeline + timelineControls + charts + losses + start + "})();"

    static let core = #"""
        const D = JSON.parse(document.getElementById('data').textContent);
        const $ = id => document.getElementById(id);
        const svgSpace = new DOMParser().parseFromString('<svg></svg>', 'text/html').querySelector('svg').namespaceURI;

        // An element with attributes and children; strings become text.
        function fill(node, attributes, children) {
          for (const [name, value] of Object.entries(attributes || {})) {
            if (value === undefined || value === null || value === false) continue;
            if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
            else if (name === 'style') node.style.cssText = value;
            else node.setAttribute(name, value === true ? '' : value);
          }
          for (const child of children.flat(2)) if (child !== null && child !== undefined && child !== false) node.append(child);
          return node;
        }
        const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
        const draw = (tag, attributes, ...children) => fill(document.createElementNS(svgSpace, tag), attributes, children);

        const fixed = (value, digits) => value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace('-', '−');
        const grouped = value => value.toLocaleString('en-US');
        const percent = (share, digits = 2) => fixed(100 * share, digits) + ' %';
        const signed = (value, digits = 4) => value === null || value === undefined ? '–' : (value > 0 ? '+' : value < 0 ? '−' : '') + fixed(Math.abs(value), digits);
        const milliseconds = ns => ns === null || ns === undefined ? '–' : fixed(ns / 1e6, 1);
        const seconds = (ns, digits = 3) => fixed(ns / 1e9, digits);
        const plural = (count, one, many) => grouped(count) + ' ' + (count === 1 ? one : many || one + 's');
        function duration(ns) {
          const s = ns / 1e9;
          if (s < 1e-3) return fixed(s * 1e6, 1) + ' µs';
          if (s < 1) return fixed(s * 1e3, s < 0.1 ? 2 : 1) + ' ms';
          if (s < 120) return fixed(s, s < 10 ? 3 : 2) + ' s';
          if (s < 7200) return Math.floor(s / 60) + ' min ' + fixed(s % 60, 0) + ' s';
          return Math.floor(s / 3600) + ' h ' + Math.floor(s % 3600 / 60) + ' min';
        }
        function money(amount) {
          const digits = amount === 0 || Math.abs(amount) >= 1 ? 2 : Math.min(9, 2 - Math.floor(Math.log10(Math.abs(amount))));
          return fixed(amount, digits) + (D.currency ? ' ' + D.currency : '');
        }
        const amount = value => money(value).slice(0, D.currency ? -D.currency.length - 1 : undefined);
        // The same digits in a whole column: two more than the sum of it needs.
        const priceDigits = sum => Math.min(9, 2 + (sum === 0 || sum >= 1 ? 2 : 2 - Math.floor(Math.log10(sum))));
        const inCurrency = head => head + (D.currency ? ', ' + D.currency : '');
        // About `count` round numbers between two ends.
        function ticks(low, high, count) {
          if (!(high > low)) return [low];
          const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
          const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= rough);
          const result = [];
          for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) result.push(+(i * step).toPrecision(12));
          return result;
        }
        const calm = matchMedia('(prefers-reduced-motion: reduce)');

        const repaint = [];
        const isDark = () => document.documentElement.dataset.theme ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
        function setTheme(theme) {
          if (theme) document.documentElement.dataset.theme = theme;
          const button = $('theme'), dark = isDark();
          button.textContent = dark ? '☀' : '☾';
          button.setAttribute('aria-label', dark ? 'Switch to the light theme' : 'Switch to the dark theme');
          button.title = button.getAttribute('aria-label');
          for (const f of repaint) f();
        }
        const remembered = (() => { try { const t = localStorage.getItem('headway-theme'); return t === 'dark' || t === 'light' ? t : null; } catch { return null; } })();
        $('theme').addEventListener('click', () => {
          const next = isDark() ? 'light' : 'dark';
          try { localStorage.setItem('headway-theme', next); } catch { }
          setTheme(next);
        });
        matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => setTheme());

        """#

    /// Families: productive and evaluation in green and blue, waits in grey, waste in orange, failures in red, start-up in
    /// sand, policy and checkpoints in violet, the host in brown. Within a family from strong to pale.
    static let colours = #"""
        const RAMPS = {
          light: { P: ['#0f7b6c', '#0f7b6c'], S: ['#76828e', '#ced5db'], W: ['#d96f0a', '#f6c890'], K: ['#5747a8', '#b5acdf'], E: ['#2f6fbd', '#9cc1ea'],
            I: ['#a48722', '#e6d9a2'], F: ['#9c1c12', '#f3b3a8'], D: ['#9a5fb8', '#dcc0ea'], H: ['#8d6e55', '#8d6e55'], Q: ['#b9c4bd', '#dfe5e1'], U: ['#000000', '#000000'] },
          dark: { P: ['#3bb39e', '#3bb39e'], S: ['#8a97a3', '#45515b'], W: ['#f59331', '#8c5a22'], K: ['#9a8cf0', '#544a94'], E: ['#5b9fe6', '#2c5584'],
            I: ['#d1b44e', '#6d6030'], F: ['#ff6f5e', '#7c332b'], D: ['#c58ae0', '#69477a'], H: ['#9a7c63', '#9a7c63'], Q: ['#66736b', '#3c4640'], U: ['#ffffff', '#ffffff'] }
        };
        const index = Object.fromEntries(D.categories.map((c, i) => [c.code, i]));
        const groupName = Object.fromEntries(D.groups);
        function mix(a, b, share) {
          const part = (hex, i) => parseInt(hex.slice(1 + 2 * i, 3 + 2 * i), 16);
          return '#' + [0, 1, 2].map(i => Math.round(part(a, i) + (part(b, i) - part(a, i)) * share).toString(16).padStart(2, '0')).join('');
        }
        function colour(code) {
          const ramps = RAMPS[isDark() ? 'dark' : 'light'];
          if (!(code in index)) return ramps[code] ? ramps[code][0] : ramps.U[0];
          const mates = D.categories.filter(c => c.group === D.categories[index[code]].group), place = mates.findIndex(c => c.code === code);
          const [from, to] = ramps[D.categories[index[code]].group];
          return mix(from, to, mates.length > 1 ? place / (mates.length - 1) : 0);
        }
        // Swatches and bars that follow the theme.
        const painted = [];
        function paint(node, code, property = 'background') {
          const apply = () => { node.style[property] = colour(code); };
          painted.push(apply);
          apply();
          return node;
        }
        repaint.push(() => painted.forEach(apply => apply()));
        const swatch = code => paint(el('span', { class: 'swatch', 'aria-hidden': 'true' }), code);
        const name = code => code in index ? D.categories[index[code]].name : code;
        const billText = bill => D.categories.filter(c => bill[c.code]).map(c => c.code + ' ' + milliseconds(bill[c.code])).join(' · ') || 'nothing';

        """#

    /// One table for everything that is long: sortable by its headings, with a filter and pages.
    static let tables = #"""
        function scrolling(label, table) { return el('div', { class: 'scroll', role: 'region', 'aria-label': label, tabindex: '0' }, table); }

        // columns: { head, cell(row) → node or text, value(row) for sorting, number, isHead, kind (a class); isPlain: not sortable, head not shown }
        function dataTable(place, { label, columns, rows, text, pageSize = 25, sort = 0, footer, noun, kind: tableKind }) {
          let page = 0, key = sort, descending = false, needle = '', shown = rows;
          const body = el('tbody'), status = el('span', { class: 'status', role: 'status' });
          const kind = column => column.number ? 'number' : column.kind;
          const heads = columns.map((column, i) => el('th', { scope: 'col', class: kind(column) }, column.isPlain ? el('span', { class: 'visually-hidden' }, column.head) :
            el('button', { type: 'button', onclick: () => { descending = key === i ? !descending : Boolean(column.number && i > 0); key = i; page = 0; order(); } }, column.head)));
          const filter = text && rows.length > 8 && el('input', { type: 'search', placeholder: 'Filter', 'aria-label': 'Filter ' + label.toLowerCase(),
            oninput: event => { needle = event.target.value.trim().toLowerCase(); page = 0; order(); } });
          const earlier = el('button', { type: 'button', class: 'button', 'aria-label': 'Previous page', onclick: () => { page--; show(); } }, '‹');
          const later = el('button', { type: 'button', class: 'button', 'aria-label': 'Next page', onclick: () => { page++; show(); } }, '›');
          const texts = text && rows.map(row => text(row).toLowerCase()), at = new Map(rows.map((row, i) => [row, i]));
          function order() {
            const words = needle.split(/\s+/).filter(Boolean), value = columns[key].value;
            shown = rows.filter(row => words.every(word => texts[at.get(row)].includes(word)));
            shown.sort((a, b) => {
              const x = value(a), y = value(b);
              const c = x === null || x === undefined ? (y === null || y === undefined ? 0 : 1) : y === null || y === undefined ? -1
                : (typeof x === 'number' ? x - y : String(x).localeCompare(String(y), 'en')) * (descending ? -1 : 1);
              return c || at.get(a) - at.get(b);
            });
            heads.forEach((head, i) => columns[i].isPlain || head.setAttribute('aria-sort', i === key ? (descending ? 'descending' : 'ascending') : 'none'));
            show();
          }
          function show() {
            const pages = Math.max(1, Math.ceil(shown.length / pageSize));
            page = Math.min(Math.max(0, page), pages - 1);
            const from = page * pageSize, part = shown.slice(from, from + pageSize);
            body.replaceChildren(...part.map(row => el('tr', {}, columns.map(column =>
              el(column.isHead ? 'th' : 'td', { scope: column.isHead ? 'row' : null, class: kind(column) }, column.cell(row))))));
            if (!part.length) body.append(el('tr', {}, el('td', { colspan: columns.length }, 'Nothing matches.')));
            status.textContent = shown.length > pageSize ? `${grouped(from + 1)}–${grouped(from + part.length)} of ${plural(shown.length, noun)}` : plural(shown.length, noun);
            earlier.disabled = page === 0;
            later.disabled = page === pages - 1;
          }
          const table = el('table', { class: tableKind }, el('caption', { class: 'visually-hidden' }, label), el('thead', {}, el('tr', {}, heads)), body, footer && el('tfoot', {}, footer));
          const tools = (filter || rows.length > pageSize) && el('div', { class: 'tools' }, filter, status, rows.length > pageSize && [earlier, later]);
          $(place).append(...[tools, scrolling(label, table)].filter(Boolean));
          order();
        }

        """#

    static let start = #"""
        $('sections').hidden = false;
        showCards();
        showFall();
        showTime();
        showSlots();
        showIncidents();
        showDefinitions();
        showContribution();
        showConfiguration();
        startTimeline();
        startCharts();
        setTheme(remembered);
        if (location.hash && document.querySelector(location.hash)) document.querySelector(location.hash).scrollIntoView({ behavior: 'auto' });

        """#
}
