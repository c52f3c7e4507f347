"""The frame around the page of results: its head with the style sheet, and its foot."""

from __future__ import annotations

MARK = b'<meta name="generator" content="chueok">'

# The policy lets the browser load nothing but pictures inside the page: it works offline and tells nobody.
HEAD = (
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    + MARK.decode()
    + """
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
:root {{ --ground: #fafaf8; --card: #fff; --ink: #1c1c1a; --faint: #66665f; --mark: #e8a200; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ground: #161615; --card: #222220; --ink: #ecebe6; --faint: #9d9b93; --mark: #ffc53d; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; max-width: 1240px; padding: 24px 16px; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, "Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans CJK KR", sans-serif; }}
h1 {{ font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }}
h2 {{ font-size: 1rem; margin: 0; flex: none; max-width: 40%; overflow-wrap: anywhere; }}
header p, small, time {{ color: var(--faint); }}
.wanted {{ display: flex; align-items: center; gap: 12px; margin-bottom: 12px; }}
.wanted div {{ display: flex; flex-wrap: wrap; gap: 6px; }}
time {{ white-space: nowrap; }}
.wanted .gone {{ padding: 4px 0; }}
.wanted img {{ height: 72px; border-radius: 6px; display: block; }}
main, .sheets {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(min(280px, 100%), 1fr)); gap: 16px;
  align-items: start; margin-top: 20px; }}
figure {{ margin: 0; background: var(--card); border-radius: 10px; overflow: hidden;
  box-shadow: 0 1px 3px rgb(0 0 0 / .18); }}
.photo {{ display: block; position: relative; }}
.photo img {{ display: block; width: 100%; height: auto; }}
.photo i {{ position: absolute; border: 2px solid var(--mark); border-radius: 4px;
  box-shadow: 0 0 0 1px rgb(0 0 0 / .55); }}
figcaption {{ display: flex; gap: 12px; padding: 12px; }}
figcaption div {{ min-width: 0; overflow-wrap: anywhere; }}
.face {{ width: 72px; height: 72px; border-radius: 8px; flex: none; }}
figcaption a {{ color: inherit; }}
main.plain {{ display: block; }}
.sheet {{ margin-top: 28px; }}
.sheet h2, .sheet h3 {{ max-width: none; margin: 18px 0 6px; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }}
th, td {{ padding: 3px 14px 3px 0; text-align: left; font-variant-numeric: tabular-nums; }}
tr + tr {{ border-top: 1px solid rgb(128 128 128 / .25); }}
.curve {{ width: min(560px, 100%); background: #fff; border-radius: 10px; margin: 8px 8px 8px 0; }}
.pair > div {{ display: flex; }}
.pair img {{ width: 50%; display: block; }}
.gone {{ display: block; padding: 32px 16px; color: var(--faint); overflow-wrap: anywhere; }}
</style>
</head>
<body>
"""
)

FOOT = "</main>\n</body>\n</html>\n"
