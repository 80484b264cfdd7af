// Formulas and interactive figures.
(() => {
    const base = document.currentScript ? new URL(".", document.currentScript.src) : new URL("assets/", location.href);

    // A formula with several parts, one below the other; null if it has no parts or they cannot be told apart.
    function stacked(text) {
        const parts = text.split(/\\qquad\s*(?:\\qquad)?/), count = (part, sign) => part.split(sign).length;
        if (parts.length < 2 || /\\begin|\\left/.test(text) || parts.some((p) => count(p, "{") !== count(p, "}"))) return null;
        return `\\begin{gathered}${parts.join("\\\\[.6em]")}\\end{gathered}`;
    }

    // A display formula that is too wide for the page is broken at its gaps, and then made smaller, within reason.
    function fit(place, text) {
        const narrow = place.scrollWidth > place.clientWidth && stacked(text);
        if (narrow) katex.render(narrow, place, { displayMode: true, throwOnError: false });
        const share = place.clientWidth / place.scrollWidth;
        if (share < 1) place.style.fontSize = `${Math.max(share, 0.7)}em`;
    }

    function formulas() {
        document.querySelectorAll(".arithmatex:not(.done)").forEach((place) => {
            const source = place.textContent.trim(), display = source.startsWith("\\["), text = source.slice(2, -2);
            katex.render(text, place, { displayMode: display, throwOnError: false });
            if (display) fit(place, text);
            place.classList.add("done");
        });
    }

    const dark = () => document.body.getAttribute("data-md-color-scheme") === "slate";

    // The page's colours; what a figure sets itself stays.
    function layout(own) {
        const ink = dark() ? "#d7dce6" : "#333a45", line = dark() ? "rgba(255,255,255,.14)" : "rgba(0,0,0,.1)";
        const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
        const axes = Object.fromEntries(Object.entries(own).filter(([key]) => /^[xy]axis\d*$/.test(key))
            .map(([key, value]) => [key, { ...axis, ...value }]));
        return { xaxis: axis, yaxis: axis, margin: { l: 60, r: 20, t: own.title ? 50 : 20, b: 50 }, ...own, ...axes,
                 template: undefined, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true,
                 width: undefined, font: { ...own.font, color: ink, family: getComputedStyle(document.body).fontFamily } };
    }

    // Panels side by side, one below the other: for narrow screens. Changes the layout.
    function stack(own) {
        const panels = Object.keys(own).filter((key) => /^xaxis\d*$/.test(key) && own[key].domain)
            .map((key) => [own[key], own[key.replace("x", "y")]]);
        if (panels.length < 2 || panels.some(([, y]) => !y?.domain || y.domain[0] !== 0 || y.domain[1] !== 1)) return own;
        const margins = (own.margin?.t ?? 50) + (own.margin?.b ?? 50), old = (own.height ?? 420) - margins;
        const gap = 100, height = panels.length * (0.75 * old + gap) - gap, share = 0.75 * old / height;
        const titles = (own.annotations ?? []).filter((note) => note.yref === "paper" && note.y === 1);
        panels.forEach(([x, y], i) => {
            const top = 1 - i * (share + gap / height);
            const title = titles.find((note) => note.x >= x.domain[0] && note.x <= x.domain[1]);
            if (title) Object.assign(title, { x: 0.5, y: top });
            x.domain = [0, 1];
            y.domain = [Math.max(0, top - share), top];
            if (y.matches) y.showticklabels = true;
            y.title ??= panels[0][1].title;
        });
        if (own.legend?.y < 0) own.legend.y *= old / height;
        else if (own.legend?.y > 1) own.legend.y = 1 + (own.legend.y - 1) * old / height;
        return { ...own, height: height + margins };
    }

    function draw(place) {
        place.figure ??= JSON.parse(place.querySelector("script").textContent);
        const { data, layout: own } = structuredClone(place.figure);
        Plotly.react(place, data, layout(place.clientWidth < 520 ? stack(own) : own), { responsive: true, displaylogo: false });
        place.classList.add("done");
    }

    function figures() {
        const places = document.querySelectorAll(".plotly-figure");
        if (!places.length) return;
        const script = document.createElement("script");
        script.src = new URL("vendor/plotly.min.js", base);
        script.onload = () => {
            places.forEach(draw);
            new MutationObserver(() => places.forEach(draw))
                .observe(document.body, { attributes: true, attributeFilter: ["data-md-color-scheme"] });
        };
        document.head.append(script);
    }

    // Tables that can be scrolled must be reachable with the keyboard.
    function tables() {
        document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code").forEach((place) => {
            if (place.scrollWidth > place.clientWidth) place.tabIndex = 0;
        });
    }

    const begin = () => {
        formulas();
        figures();
        tables();
        document.querySelector(".md-search")?.setAttribute("aria-label", "Search");      // a dialog without a name
    };
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
    else begin();
})();
