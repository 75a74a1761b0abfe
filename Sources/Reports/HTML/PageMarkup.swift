/// The page's skeleton: headings and places that the script fills in. Without scripts there is the text report.
enum PageMarkup {
    /// All parameters are HTML already.
    static func body(title: String, outcome: String, text: String) -> String {
        """
        <a class="skip" href="#main">Skip to the report</a>
        <header class="bar"><div>
        <strong>Headway</strong>
        <nav aria-label="Sections">
        <a href="#waterfall">Waterfall</a><a href="#time">Time</a><a href="#timeline">Timeline</a><a href="#loss">Loss</a><a href="#contribution">Contribution</a><a href="#incidents">Incidents</a><a href="#definitions">Definitions</a><a href="#configuration">Configuration</a>
        </nav>
        <button type="button" class="button" id="theme" aria-label="Switch between light and dark">◐</button>
        </div></header>
        <div class="masthead">
        <h1>\(title)</h1>
        <p class="lead">\(outcome)</p>
        </div>
        <main id="main" tabindex="-1">
        <noscript><p>This page draws its tables and pictures with a script of its own, and scripts are switched off. The same report as text:</p>
        <pre>\(text)</pre></noscript>
        <div id="sections" hidden>
        \(sections)
        </div>
        </main>
        <footer>Everything on this page is computed from the run’s ledger. The page loads nothing and sends nothing.</footer>
        """
    }

    private static let sections = #"""
        <section aria-label="Headline figures"><dl class="cards" id="cards"></dl><div id="reference"></div></section>

        <section id="waterfall" aria-labelledby="waterfall-title"><h2 id="waterfall-title">From paid time to lower loss</h2>
        <p class="lead">Each row is a part of the one above. The first four are exact sums; the last is measured on held-out text, window by window, and what the measurement cannot decide is shown apart.</p>
        <div class="fall" id="fall"></div></section>

        <section id="time" aria-labelledby="time-title"><h2 id="time-title">Where the time went</h2>
        <p class="lead">Every nanosecond of every provisioned worker slot has one category. What no category explains is unaccounted.</p>
        <div id="time-table"></div>
        <h3 id="goodput-title">Over the run</h3>
        <p class="lead">Shares of provisioned worker time in equal stretches of the run. The lowest band is compute goodput.</p>
        <div class="picture" id="goodput-chart"></div></section>

        <section id="timeline" aria-labelledby="timeline-title"><h2 id="timeline-title">Worker by worker</h2>
        <p class="lead">What each slot was doing. Drag to move; Ctrl and wheel, a double click or two fingers zoom.</p>
        <details class="keys"><summary>Keyboard</summary><p class="note">With the timeline in focus: ← and → move, + and − zoom, 0 shows all, Home and End go to the ends, N and P to the next and previous incident, ↑ and ↓ choose a slot, Shift with ← or → steps through what it did.</p></details>
        <div class="tools" id="timeline-tools"></div>
        <div class="picture"><canvas id="timeline-canvas" tabindex="0" role="application" aria-label="Timeline of the worker slots; the table below has the same totals" aria-describedby="timeline-status"></canvas><div class="tip" id="timeline-tip" hidden></div></div>
        <p class="visually-hidden" aria-live="polite" id="timeline-live"></p>
        <ul class="legend" id="timeline-legend" aria-label="Categories; press one to show it alone"></ul>
        <p class="note" id="timeline-note"></p>
        <details><summary>The same as a table: seconds by slot and category</summary><div id="slot-table"></div></details></section>

        <section id="loss" aria-labelledby="loss-title"><h2 id="loss-title">Loss</h2>
        <p class="lead" id="loss-lead"></p>
        <div class="picture" id="loss-chart"></div></section>

        <section id="contribution" aria-labelledby="contribution-title"><h2 id="contribution-title">Did it reduce the loss?</h2>
        <p class="lead">Three answers that are never mixed: what became of the work, what its gradients promised, and what held-out text says.</p>
        <div class="layers" id="layers"></div>
        <div id="windows"></div>
        <div class="columns" id="noise-and-workers"></div></section>

        <section id="incidents" aria-labelledby="incidents-title"><h2 id="incidents-title">Incidents</h2>
        <p class="lead">Each failure with its bill: all worker time that would not have been lost without it.</p>
        <div id="incident-table"></div></section>

        <section id="definitions" aria-labelledby="definitions-title"><h2 id="definitions-title">Goodput by ten published definitions</h2>
        <p class="lead">The same run as others would count it. The dashed line is this ledger’s compute goodput.</p>
        <div id="definition-table"></div></section>

        <section id="configuration" aria-labelledby="configuration-title"><h2 id="configuration-title">Configuration</h2>
        <p class="lead">What is needed to make this run again.</p>
        <div id="configuration-body"></div></section>
        """#
}
