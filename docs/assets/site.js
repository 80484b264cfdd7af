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

    function draw(place) {
        place.figure ??= JSON.parse(place.querySelector("script").textContent);
        const { data, layout: own } = place.figure;
        Plotly.react(place, structuredClone(data), layout(structuredClone(own)), { responsive: true, displaylogo: false });
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

    const begin = () => { formulas(); figures(); tables(); };
    if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
    else begin();
})();
