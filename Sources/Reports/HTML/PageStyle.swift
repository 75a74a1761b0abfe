/// The page's style sheet. Two themes from one set of names; the button overrides what the system prefers.
package enum PageStyle {
    package static let text = themes + layout + components + narrow

    private static let themes = #"""
        :root {
          color-scheme: light;
          --page: #f7f8f8; --surface: #ffffff; --sunken: #eef1f2; --ink: #182026; --muted: #566370; --line: #dde2e6;
          --accent: #0b6b7d; --accent-soft: #dceef1; --bad: #b3311f; --bad-soft: #fbe6e1; --good: #0f7b6c; --focus: #0b6b7d;
          --shadow: 0 1px 2px rgb(16 24 32 / .06);
          --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif;
          --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
        }
        @media (prefers-color-scheme: dark) { :root:not([data-theme="light"]) {
          color-scheme: dark;
          --page: #0f1417; --surface: #161d21; --sunken: #1e272c; --ink: #e7ecef; --muted: #9fadb8; --line: #2b363d;
          --accent: #5cc1d3; --accent-soft: #17343b; --bad: #f0897a; --bad-soft: #3a211d; --good: #4cc2ab; --focus: #7fd4e3;
          --shadow: none;
        } }
        :root[data-theme="dark"] {
          color-scheme: dark;
          --page: #0f1417; --surface: #161d21; --sunken: #1e272c; --ink: #e7ecef; --muted: #9fadb8; --line: #2b363d;
          --accent: #5cc1d3; --accent-soft: #17343b; --bad: #f0897a; --bad-soft: #3a211d; --good: #4cc2ab; --focus: #7fd4e3;
          --shadow: none;
        }

        """#

    private static let layout = #"""
        *, *::before, *::after { box-sizing: border-box; }
        html { -webkit-text-size-adjust: 100%; scroll-padding-top: 4.25rem; }
        @media (prefers-reduced-motion: no-preference) { html { scroll-behavior: smooth; } }
        body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.55 var(--sans); font-variant-numeric: tabular-nums; }
        main, .masthead, footer { max-width: 1180px; margin: 0 auto; padding: 0 28px; }
        .skip { position: absolute; left: -9999px; }
        .skip:focus { left: 12px; top: 12px; z-index: 30; background: var(--surface); padding: 8px 14px; border-radius: 6px; }
        :focus-visible { outline: 2.5px solid var(--focus); outline-offset: 2px; border-radius: 4px; }
        a { color: var(--accent); }
        .bar { position: sticky; top: 0; z-index: 20; background: color-mix(in srgb, var(--page) 92%, transparent); backdrop-filter: blur(8px); border-bottom: 1px solid var(--line); }
        .bar > div { max-width: 1180px; margin: 0 auto; padding: 0 28px; display: flex; align-items: center; gap: 16px; height: 52px; }
        .bar strong { font-weight: 650; letter-spacing: .01em; white-space: nowrap; }
        .bar nav { display: flex; gap: 2px; overflow-x: auto; scrollbar-width: none; flex: 1; }
        .bar nav a { color: var(--muted); text-decoration: none; padding: 6px 10px; white-space: nowrap; border-radius: 6px; font-size: 14px; }
        .bar nav a:hover { color: var(--ink); background: var(--sunken); }
        .masthead { padding-top: 36px; padding-bottom: 8px; }
        h1 { font-size: 26px; line-height: 1.25; margin: 0 0 6px; font-weight: 650; letter-spacing: -.01em; overflow-wrap: anywhere; }
        h2 { font-size: 19px; margin: 0 0 4px; font-weight: 650; letter-spacing: -.005em; }
        h3 { font-size: 15px; margin: 26px 0 6px; font-weight: 650; }
        p { margin: 0 0 12px; }
        .lead, .note { color: var(--muted); max-width: 76ch; }
        .note { font-size: 13.5px; margin-top: 10px; }
        section { padding: 30px 0 34px; border-bottom: 1px solid var(--line); }
        section:last-of-type { border-bottom: 0; }
        section > .lead { margin-bottom: 18px; }
        footer { color: var(--muted); font-size: 13.5px; padding-top: 22px; padding-bottom: 40px; border-top: 1px solid var(--line); }
        noscript pre { overflow-x: auto; font: 12.5px/1.45 var(--mono); }
        .visually-hidden { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

        """#

    private static let components = #"""
        button, input { font: inherit; color: inherit; }
        .button { background: var(--surface); border: 1px solid var(--line); border-radius: 7px; padding: 5px 11px; min-height: 34px; min-width: 34px; cursor: pointer; font-size: 14px; line-height: 1.2; }
        .button:hover:not(:disabled) { border-color: var(--accent); color: var(--accent); }
        .button:disabled { opacity: .45; cursor: default; }
        input[type=search] { background: var(--surface); border: 1px solid var(--line); border-radius: 7px; padding: 5px 11px; min-height: 34px; width: min(320px, 100%); }
        .cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(205px, 1fr)); gap: 14px; }
        .card { background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 15px 17px 14px; box-shadow: var(--shadow); }
        .card dt { color: var(--muted); font-size: 13.5px; }
        .card dd { margin: 0; }
        .card .figure { font-size: 25px; line-height: 1.3; font-weight: 620; letter-spacing: -.015em; }
        .card .note { margin: 2px 0 0; font-size: 13px; }
        .card.main .figure { color: var(--accent); }
        .card.main { border-color: color-mix(in srgb, var(--accent) 45%, var(--line)); }
        .fall { display: grid; gap: 14px; }
        .fall-row { display: grid; grid-template-columns: 250px 1fr 190px; gap: 18px; align-items: center; }
        .fall-row .label small { display: block; color: var(--muted); font-size: 13px; line-height: 1.35; }
        .fall-row .value { text-align: right; white-space: nowrap; }
        .fall-row .value small { color: var(--muted); display: block; font-size: 13px; }
        .track { height: 26px; background: var(--sunken); border-radius: 5px; overflow: hidden; display: flex; }
        .track > span { height: 100%; display: block; }
        .solid { background: var(--accent); }
        .solid.soft { background: color-mix(in srgb, var(--accent) 55%, var(--sunken)); }
        .harmful { background: var(--bad); }
        .hatched { background: repeating-linear-gradient(135deg, var(--muted) 0 2px, var(--sunken) 2px 7px); }
        .open { background: transparent; box-shadow: inset 0 0 0 1.5px var(--muted); border-radius: 0 5px 5px 0; }
        .tag { display: inline-block; font-size: 12px; line-height: 1; padding: 3px 7px; border-radius: 99px; border: 1px solid var(--line); color: var(--muted); vertical-align: 1.5px; white-space: nowrap; }
        .tag.measured { color: var(--accent); border-color: var(--accent); }
        .tag.bad { color: var(--bad); border-color: var(--bad); }
        .swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px; vertical-align: -1px; flex: none; }
        .scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px; background: var(--surface); }
        table { border-collapse: collapse; width: 100%; font-size: 14px; }
        th, td { text-align: left; padding: 8px 13px; border-bottom: 1px solid var(--line); vertical-align: top; }
        tbody tr:last-child > * , tfoot tr:last-child > * { border-bottom: 0; }
        thead th { font-weight: 600; color: var(--muted); font-size: 13px; white-space: nowrap; background: var(--surface); }
        th.number, td.number { text-align: right; white-space: nowrap; }
        tbody th { font-weight: inherit; }
        tfoot td, tfoot th { font-weight: 620; border-top: 2px solid var(--line); }
        td small, th small { color: var(--muted); font-size: 13px; font-weight: 400; }
        td .name { margin-right: 8px; }
        td.what, th.what { width: 36%; min-width: 240px; }
        td.whole, th.whole { white-space: nowrap; }
        .tight th, .tight td { padding: 6px 9px; }
        th button { all: unset; cursor: pointer; display: inline-flex; min-height: 26px; gap: 5px; align-items: center; }
        th button:focus-visible { outline: 2.5px solid var(--focus); outline-offset: 3px; border-radius: 3px; }
        th button::after { content: "↕"; opacity: .35; }
        th[aria-sort=ascending] button::after { content: "↑"; opacity: 1; color: var(--accent); }
        th[aria-sort=descending] button::after { content: "↓"; opacity: 1; color: var(--accent); }
        .meter { height: 9px; border-radius: 2px; min-width: 1px; }
        .tools { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; margin: 0 0 12px; }
        .tools .status { color: var(--muted); font-size: 13.5px; margin-left: auto; }
        .picture { position: relative; background: var(--surface); border: 1px solid var(--line); border-radius: 10px; padding: 12px; }
        .picture canvas { display: block; width: 100%; touch-action: pan-y; cursor: grab; }
        .picture canvas.dragging { cursor: grabbing; }
        .picture svg { display: block; width: 100%; overflow: visible; }
        .picture svg text { fill: var(--muted); font: 12px var(--sans); font-variant-numeric: tabular-nums; }
        .tip { position: absolute; pointer-events: none; z-index: 5; background: var(--surface); color: var(--ink); border: 1px solid var(--line); border-radius: 8px; box-shadow: 0 4px 18px rgb(0 0 0 / .18); padding: 8px 11px; font-size: 13px; line-height: 1.45; max-width: 300px; }
        .tip b { display: block; font-weight: 620; }
        .legend { display: flex; flex-wrap: wrap; gap: 4px 6px; margin: 12px 0 0; padding: 0; list-style: none; }
        .legend button, .key { display: inline-flex; gap: 7px; align-items: center; background: none; border: 1px solid transparent; border-radius: 6px; padding: 3px 8px; font-size: 13px; cursor: pointer; }
        .legend button:hover { border-color: var(--line); }
        .legend button[aria-pressed=true] { border-color: var(--accent); background: var(--accent-soft); }
        .key { cursor: default; padding-left: 0; }
        details { margin-top: 14px; }
        summary { cursor: pointer; color: var(--accent); width: fit-content; padding: 3px 0; }
        details > .scroll { margin-top: 10px; }
        .pre { max-height: 26rem; overflow: auto; margin: 0; padding: 15px 17px; overflow-x: auto; font: 13px/1.5 var(--mono); }
        .verdict-contributed { color: var(--good); font-weight: 600; }
        .verdict-harmful { color: var(--bad); font-weight: 600; }
        .verdict-indeterminate { color: var(--muted); }
        .layers { display: grid; grid-template-columns: repeat(3, 1fr); gap: 14px; margin: 0 0 18px; }
        .layers .figure { font-size: 19px; font-weight: 620; }
        .columns { display: grid; grid-template-columns: 3fr 2fr; gap: 18px; align-items: start; }
        .columns > :only-child { grid-column: 1 / -1; }
        .keys { margin: 0 0 14px; }
        .keys summary { font-size: 14px; }
        .definition-value { font-size: 17px; font-weight: 620; }
        .dots { position: relative; height: 16px; min-width: 130px; }
        .dots::before { content: ""; position: absolute; left: 0; right: 0; top: 7.5px; border-top: 1px solid var(--line); }
        .dots i { position: absolute; top: 2px; width: 12px; height: 12px; margin-left: -6px; border-radius: 50%; background: var(--accent); }
        .dots b { position: absolute; top: -4px; bottom: -4px; border-left: 1.5px dashed var(--muted); }

        """#

    private static let narrow = #"""
        @media (max-width: 860px) {
          .fall-row { grid-template-columns: 1fr auto; gap: 4px 12px; }
          .fall-row .track { grid-column: 1 / -1; grid-row: 2; }
          .layers, .columns { grid-template-columns: minmax(0, 1fr); }
          .stacking thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
          .stacking tr { display: grid; grid-template-columns: minmax(0, 1fr) auto; padding: 12px 0; border-bottom: 1px solid var(--line); }
          .stacking tbody tr:last-child { border-bottom: 0; }
          .stacking th, .stacking td { border: 0; padding: 2px 14px; }
          .stacking .wide { grid-column: 1 / -1; }
        }
        @media (max-width: 560px) {
          .spare { display: none; }
          main, .masthead, footer, .bar > div { padding-left: 16px; padding-right: 16px; }
          .cards { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 10px; }
          .card { padding: 11px 12px; }
          .card .figure { font-size: 20px; white-space: normal; }
          .card .note { font-size: 12.5px; overflow-wrap: anywhere; }
          h1 { font-size: 21px; }
          th, td { padding: 7px 8px; }
          .tight th, .tight td { padding: 6px 6px; }
          table { font-size: 13px; }
          .tools .status { margin-left: 0; width: 100%; }
          .picture { padding: 9px; }
        }
        @media print { .bar, .tools, .legend button:not([aria-pressed=true]) { display: none; } body { background: #fff; } }
        """#
}
