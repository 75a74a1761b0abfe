extension PageScript {
    static let sections = #"""
        function showCards() {
          $('cards').append(...D.cards.map(card => el('div', { class: 'card' + (card.tone ? ' ' + card.tone : '') },
            el('dt', {}, card.label), el('dd', { class: 'figure' }, card.value), el('dd', { class: 'note' }, card.note))));
          if (D.reference.length) $('reference').append(el('p', { class: 'note' }, 'Against the reference: ' + D.reference.join('; ') + '.'));
        }

        function showFall() {
          const w = D.waterfall, whole = Math.max(1, w.provisioned);
          const bar = (...parts) => el('div', { class: 'track', 'aria-hidden': 'true' },
            parts.filter(([ns]) => ns > 0).map(([ns, kind]) => el('span', { class: kind, style: `width:${100 * ns / whole}%` })));
          const row = (label, note, tag, ns, track, share) => el('div', { class: 'fall-row', role: 'group' },
            el('div', { class: 'label' }, label, ' ', tag && el('span', { class: 'tag ' + tag }, tag), el('small', {}, note)), track,
            el('div', { class: 'value' }, seconds(ns, 2) + ' s', el('small', {}, share || percent(ns / whole) + ' of provisioned')));
          const lost = (from, to, why) => `${seconds(from - to, 2)} s fewer: ${why}`;
          $('fall').append(
            row('Provisioned', 'worker slots, paid for', null, w.provisioned, bar([w.provisioned, 'solid soft'])),
            row('Alive', lost(w.provisioned, w.alive, 'slots without a living worker'), null, w.alive, bar([w.alive, 'solid soft'])),
            row('Computing', lost(w.alive, w.computing, 'waits, starts, evaluation, contention'), null, w.computing, bar([w.computing, 'solid soft'])),
            row('Kept', lost(w.computing, w.kept, 'computed in vain') + '. In the final weights.', null, w.kept, bar([w.kept, 'solid'])));
          const measured = w.kept - w.unmeasured;
          $('fall').append(measured > 0
            ? row('Loss-reducing', 'kept compute of windows that measurably lowered held-out loss', 'measured', w.contributed,
              bar([w.contributed, 'solid'], [w.indeterminate, 'hatched'], [w.harmful, 'harmful'], [w.unmeasured, 'open']), percent(w.kept ? w.contributed / w.kept : 0) + ' of kept')
            : row('Loss-reducing', 'not measured: the run has no two passes over the probes', null, 0, bar([w.kept, 'open']), 'unknown'));
          const parts = [['solid', 'contributed', w.contributed], ['hatched', 'indeterminate', w.indeterminate], ['harmful', 'harmful', w.harmful], ['open', 'in no window', w.unmeasured]];
          if (measured > 0) $('fall').append(el('ul', { class: 'legend', 'aria-label': 'Parts of the last row' }, parts.map(([kind, label, ns]) =>
            el('li', { class: 'key' }, el('span', { class: 'swatch ' + kind }), `${label}: ${seconds(ns, 2)} s, ${percent(w.kept ? ns / w.kept : 0)} of kept`))));
        }

        function showTime() {
          const a = D.accounts, entries = D.categories.filter(c => a.byCategory[c.code]), most = Math.max(...entries.map(c => a.byCategory[c.code]), 1);
          const priced = D.pricePerWorkerSecond > 0, digits = priceDigits(a.budget / 1e9 * D.pricePerWorkerSecond);
          const cells = ns => [el('td', { class: 'number' }, seconds(ns, 4)), el('td', { class: 'number' }, percent(ns / Math.max(1, a.budget))),
            priced && el('td', { class: 'number spare' }, fixed(ns / 1e9 * D.pricePerWorkerSecond, digits))];
          const rows = entries.map(c => el('tr', {},
            el('th', { scope: 'row', style: 'white-space:nowrap' }, swatch(c.code), ` ${c.code}`),
            el('td', {}, el('span', { class: 'name' }, c.name), el('small', { class: 'spare' }, c.definition)), cells(a.byCategory[c.code]),
            el('td', { class: 'spare', style: 'width:15%;min-width:90px' }, paint(el('div', { class: 'meter', 'aria-hidden': 'true', style: `width:${100 * a.byCategory[c.code] / most}%;margin-top:6px` }), c.code))));
          const sum = Object.values(a.byCategory).reduce((x, y) => x + y, 0);
          const foot = (label, ns) => el('tr', {}, el('td'), el('th', { scope: 'row' }, label), cells(ns), el('td', { class: 'spare' }));
          $('time-table').append(scrolling('Worker time by category', el('table', { class: 'tight' }, el('caption', { class: 'visually-hidden' }, 'Worker time by category'),
            el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Code'), el('th', { scope: 'col' }, 'Category'), el('th', { scope: 'col', class: 'number' }, 'Seconds'),
              el('th', { scope: 'col', class: 'number' }, 'Share'), priced && el('th', { scope: 'col', class: 'number spare' }, inCurrency('Cost')), el('th', { scope: 'col', class: 'spare' }, el('span', { class: 'visually-hidden' }, 'Bar')))),
            el('tbody', {}, rows), el('tfoot', {}, foot('Sum', sum), foot('Unaccounted', a.unaccounted)))));
          if (D.beside.length) $('time-table').append(el('p', { class: 'note' }, 'Beside the sum: ' + D.beside.join('; ') + '.'));
        }

        function showSlots() {
          const used = D.categories.filter(c => D.accounts.byCategory[c.code]);
          $('slot-table').append(scrolling('Seconds by slot and category', el('table', {}, el('caption', { class: 'visually-hidden' }, 'Seconds by slot and category'),
            el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Category'), D.accounts.bySlot.map(s => el('th', { scope: 'col', class: 'number' }, 'slot ' + s.slot)))),
            el('tbody', {}, used.map(c => el('tr', {}, el('th', { scope: 'row', style: 'white-space:nowrap' }, swatch(c.code), ` ${c.code} ${c.name}`),
              D.accounts.bySlot.map(s => el('td', { class: 'number' }, s.bill[c.code] ? seconds(s.bill[c.code], 4) : '·'))))))));
        }

        function showIncidents() {
          if (!D.incidents.length) { $('incident-table').append(el('p', {}, 'None.')); return; }
          const sum = key => D.incidents.reduce((total, i) => total + (i[key] || 0), 0), total = {};
          for (const i of D.incidents) for (const code in i.bill) total[code] = (total[code] || 0) + i.bill[code];
          const priced = D.pricePerWorkerSecond > 0;
          const columns = [
            { head: '#', number: true, value: i => i.number, cell: i => String(i.number) },
            { head: 'What happened', isHead: true, kind: 'what', value: i => i.what, cell: i => [i.what, el('br'), el('small', {}, billText(i.bill))] },
            { head: 'Step', number: true, value: i => i.step, cell: i => grouped(i.step) },
            { head: 'Slot', number: true, value: i => i.slot, cell: i => String(i.slot) },
            { head: 'Found, ms', number: true, value: i => i.detection, cell: i => milliseconds(i.detection) },
            { head: 'Cost, worker-ms', number: true, value: i => i.cost, cell: i => milliseconds(i.cost) },
            priced && { head: inCurrency('Price'), number: true, value: i => i.money, cell: i => amount(i.money) },
            { head: 'Lost', number: true, value: i => i.lost, cell: i => grouped(i.lost) },
            { head: 'Delay, ms', number: true, value: i => i.delay, cell: i => i.delay === null || i.delay === undefined ? '–' : signed(i.delay / 1e6, 1) },
            { head: 'Show in the timeline', isPlain: true, cell: i => el('button', { type: 'button', class: 'button', 'aria-label': `Show incident ${i.number} in the timeline`, onclick: () => showIncident(i) }, 'Show') },
          ].filter(Boolean);
          const footer = el('tr', {}, columns.map((column, at) => at === 1 ? el('th', { scope: 'row' }, plural(D.incidents.length, 'incident'), el('br'), el('small', {}, billText(total)))
            : el('td', { class: column.number ? 'number' : null }, { 'Cost, worker-ms': milliseconds(sum('cost')), [inCurrency('Price')]: amount(sum('money')), Lost: grouped(sum('lost')) }[column.head] || '')));
          dataTable('incident-table', { label: 'Incidents', columns, rows: D.incidents, noun: 'incident', kind: 'tight', footer,
            text: i => `${i.number} ${i.what} ${i.kind} step ${i.step} slot ${i.slot} ${Object.keys(i.bill).join(' ')}` });
          $('incident-table').append(el('p', { class: 'note' }, 'Found: milliseconds after the fault; – when its instant is not known. Cost: worker-milliseconds, below by category. Lost: microbatches computed in vain. Delay: by how much the next commit came late.'));
        }

        function showDefinitions() {
          const dots = value => el('div', { class: 'dots', 'aria-hidden': 'true' }, el('b', { style: `left:${100 * D.computeGoodput}%` }),
            value !== null && value !== undefined && el('i', { style: `left:${100 * Math.min(1, value)}%` }));
          const row = (title, source, value, formula, why, bold) => el('tr', { role: 'row' },
            el('th', { scope: 'row', role: 'rowheader' }, el('strong', {}, title), el('br'), el('small', {}, source)),
            el('td', { class: 'number', role: 'cell' }, el('span', { class: 'definition-value' }, value === null || value === undefined ? '–' : percent(value))),
            el('td', { class: 'wide', role: 'cell', style: 'min-width:150px' }, dots(value)),
            el('td', { class: 'wide', role: 'cell' }, formula, el('br'), el('small', {}, why)));
          $('definition-table').append(el('div', { class: 'scroll' }, el('table', { class: 'stacking', role: 'table' }, el('caption', { class: 'visually-hidden' }, 'Goodput by ten published definitions'),
            el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ['Definition', 'Value', '0 to 100 %', 'Formula, and why it differs here'].map((h, i) => el('th', { scope: 'col', role: 'columnheader', class: i === 1 ? 'number' : null }, h)))),
            el('tbody', { role: 'rowgroup' }, row('This ledger', 'compute goodput', D.computeGoodput, 'productive compute ÷ provisioned worker time', 'every waiting, lost and idle worker-second counts against it'),
              D.definitions.map(d => row(d.name, d.source, d.value, d.formula, d.difference))))));
        }

        function showConfiguration() {
          const place = $('configuration-body');
          if (D.configuration) place.append(scrolling('Resolved configuration', el('pre', { class: 'pre' }, D.configuration)));
          if (D.checkpoints.length) {
            place.append(el('h3', {}, 'Checkpoints'), D.checkpointNotes.map(note => el('p', { class: 'note' }, note)), el('div', { id: 'checkpoint-table' }));
            dataTable('checkpoint-table', { label: 'Checkpoints', rows: D.checkpoints, noun: 'checkpoint', pageSize: 20, columns: [
              { head: 'Step', number: true, value: c => c.step, cell: c => grouped(c.step) }, { head: 'Status', value: c => c.status, cell: c => c.status },
              { head: 'Bytes', number: true, value: c => c.bytes, cell: c => grouped(c.bytes) },
              { head: 'Durable after ms', number: true, value: c => c.took, cell: c => milliseconds(c.took) },
              { head: 'Late by ms', number: true, value: c => c.late, cell: c => c.late ? milliseconds(c.late) : '–' }] });
          }
          place.append(el('details', {}, el('summary', {}, 'Facts of the run'), scrolling('Facts of the run', el('table', {}, el('tbody', {},
            D.facts.map(([key, value]) => el('tr', {}, el('th', { scope: 'row' }, key), el('td', { style: 'overflow-wrap:anywhere' }, value))))))));
        }

        """#

    static let contribution = #"""
        function showContribution() {
          const c = D.contribution, kept = c.fates.find(([fate]) => fate === 'committed');
          const others = c.fates.filter(([fate]) => fate !== 'committed').map(([fate, count]) => `${grouped(+count)} ${fate}`);
          const layer = (label, tag, figure, ...notes) => el('div', { class: 'card' }, el('div', {}, label, ' ', el('span', { class: 'tag' + (tag === 'measured' ? ' measured' : '') }, tag)),
            el('div', { class: 'figure' }, figure), notes.filter(Boolean).map(note => el('p', { class: 'note' }, note)));
          const verdict = e => el('span', { class: 'verdict-' + e.verdict }, ({ contributed: '● ', harmful: '▲ ', indeterminate: '○ ' })[e.verdict] + e.verdict);
          const range = e => e.low === null || e.low === undefined ? 'unbounded' : `${signed(e.low)} to ${signed(e.high)}`;
          $('layers').append(
            layer('Fate', 'exact', `${grouped(kept ? +kept[1] : 0)} of ${grouped(c.executions)}`, 'microbatch executions are in the final weights' + (others.length ? '; ' + others.join(', ') : '') + '.'),
            c.credits ? layer('Credit', 'estimate', c.creditError === null || c.creditError === undefined ? 'of unknown error' : `${signed(c.credit)} ± ${fixed(c.creditError, 4)}`,
              `nats per token by which the updates lowered the training loss, from the gradients at both ends of ${plural(c.credits, 'update')} of ${grouped(c.updates)}. Exact to second order; noisy step by step, so never shown for one alone.`,
              c.significant > 0 && `${c.agreeing} of ${plural(c.significant, 'window')} with a clear effect and a clear credit: the same sign.`)
              : layer('Credit', 'estimate', '–', 'not recorded in this run'),
            c.total ? layer('Effect', 'measured', `${signed(c.total.change)}`, ['nats per token of held-out text, 95 % interval ', range(c.total), ': ', verdict(c.total)],
              `${plural(c.total.sequences, 'sequence')}${c.total.clusters < c.total.sequences ? ` from ${grouped(c.total.clusters)} documents or groups of them` : ''} of the audit probe, compared in pairs. Negative is better.`)
              : layer('Effect', 'measured', '–', 'not measured: the run has fewer than two passes over the probes'));
          if (c.windows.length) {
            $('windows').append(el('h3', {}, 'Windows'), el('div', { id: 'window-table' }));
            const optional = (value, digits) => value === null || value === undefined ? '–' : fixed(value, digits);
            dataTable('window-table', { label: 'Probe windows', rows: c.windows, noun: 'window', pageSize: 12, text: w => `${w.start} ${w.end} ${w.audit.verdict}`, columns: [
              { head: 'Steps', isHead: true, kind: 'whole', value: w => w.start, cell: w => `${grouped(w.start)}–${grouped(w.end)}` },
              { head: 'Change', number: true, value: w => w.audit.change, cell: w => signed(w.audit.change) },
              { head: '95 % interval', number: true, value: w => w.audit.low, cell: w => range(w.audit) },
              { head: 'Detectable', number: true, value: w => w.audit.detectable, cell: w => optional(w.audit.detectable, 4) },
              { head: 'Verdict', kind: 'whole', value: w => w.audit.verdict, cell: w => verdict(w.audit) },
              { head: 'Decision probe', number: true, value: w => w.decision.change, cell: w => signed(w.decision.change) },
              { head: 'Credit ± error', number: true, value: w => w.credit, cell: w => w.creditError === null || w.creditError === undefined ? '–' : `${signed(w.credit)} ± ${fixed(w.creditError, 4)}` }] });
            $('windows').append(el('p', { class: 'note' }, 'Change: of the audit probe’s loss, nats per token. Detectable: the least change found four times out of five. The windows’ changes sum to the total.'
              + (c.windows.length > 4 ? ` By chance alone, about one window in twenty looks clear: ${fixed(c.windows.length / 20, c.windows.length < 200 ? 1 : 0)} of these ${grouped(c.windows.length)}.` : '')));
          }
          if (c.noise.length) {
            const last = c.noise[c.noise.length - 1], batch = c.batchSequences;
            $('noise-and-workers').append(el('div', {}, el('h3', {}, 'Gradient noise scale'), el('div', { class: 'picture', id: 'noise-chart' }),
              el('p', { class: 'note' }, `${fixed(last[1], last[1] < 10 ? 1 : 0)} sequences after step ${grouped(last[0])}` + (batch ? `; the batch has ${grouped(batch)}, so ${percent(batch / (batch + last[1]), 0)} of a step is signal` : '') + '. A low signal share is not waste: below the noise scale, larger batches gain in proportion.')));
          }
          // Of many small figures the common power of ten goes into the unit.
          const scaled = values => {
            const size = Math.max(...values.map(Math.abs), 1e-300), exponent = Math.min(0, Math.floor(Math.log10(size)));
            return [exponent, exponent ? '10' + [...String(exponent)].map(d => d === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[d]).join('') + ' ' : ''];
          };
          if (c.workers.length) {
            const [exponent, unit] = scaled(c.workers.flatMap(w => [w.mean, w.others]));
            $('noise-and-workers').append(el('div', {}, el('h3', {}, 'Worker by worker'), scrolling('Contribution of each worker', el('table', {},
              el('thead', {}, el('tr', {}, ['Slot', 'Mean', 'Others', 'z', ''].map((h, i) => el('th', { scope: 'col', class: i && i < 4 ? 'number' : null }, h || el('span', { class: 'visually-hidden' }, 'Verdict'))))),
              el('tbody', {}, c.workers.map(w => el('tr', {}, el('th', { scope: 'row' }, String(w.slot)), [w.mean, w.others].map(v => v / 10 ** exponent).map(v => el('td', { class: 'number' }, fixed(v, 3))),
                el('td', { class: 'number' }, signed(w.z, 1)), el('td', {}, w.isSuspect ? el('span', { class: 'tag bad' }, 'suspect') : '')))))),
              el('p', { class: 'note' }, `Predicted drop of the probe loss by a microbatch, ${unit}nats per token, first order. Suspect: more than four standard errors below the others.`)));
          }
          if (c.sources.length) {
            const [exponent, unit] = scaled(c.sources.map(s => s.mean));
            $('noise-and-workers').append(el('div', {}, el('h3', {}, 'Source by source'), scrolling('Contribution of each source', el('table', {},
              el('thead', {}, el('tr', {}, ['Source', 'Tokens', 'Mean', '± error'].map((h, i) => el('th', { scope: 'col', class: i ? 'number' : null }, h)))),
              el('tbody', {}, c.sources.map(s => el('tr', {}, el('th', { scope: 'row' }, s.name), el('td', { class: 'number' }, percent(s.share, 1)),
                [s.mean, s.error].map(v => el('td', { class: 'number' }, fixed(v / 10 ** exponent, 3)))))))),
              el('p', { class: 'note' }, `Predicted drop of the probe loss by a microbatch wholly of one source, ${unit}nats per token, first order: fitted to microbatches that mix sources.`)));
          }
        }

        """#
}
