#include <fmt/format.h>

#include "runner/trace/rows.hpp"
#include "runner/web_text.hpp"

namespace vtlsim::runner::trace {
namespace {

std::string escaped(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '<') {
            out += "&lt;";
        } else if (c == '&') {
            out += "&amp;";
        } else {
            out += c;
        }
    }
    return out;
}

// In a script element only "</" and "<!--" mean something; in JSON '<' stands in strings alone.
std::string in_script(const std::string& json) {
    std::string out;
    out.reserve(json.size());
    for (char c : json) {
        if (c == '<') {
            out += "\\u003c";
        } else {
            out += c;
        }
    }
    return out;
}

void replace(std::string& text, std::string_view mark, const std::string& with) {
    const std::size_t at = text.find(mark);
    text.replace(at, mark.size(), with);
}

}  // namespace

std::string html_trace(std::span<const Recording> recordings) {
    std::string title, data;
    for (const Recording& r : recordings) {
        title += (title.empty() ? "" : " | ") + title_of(r);
        data += fmt::format("<script type=\"application/json\" class=\"run\">{}</script>\n",
                            in_script(json_trace(r)));
    }
    std::string script;
    for (std::string_view part : web_text::scripts) script += part;
    std::string page(web_text::page);
    // Last what comes from scenarios: it may hold anything, a mark of the page too.
    replace(page, "/*STYLE*/", std::string(web_text::style));
    replace(page, "/*SCRIPT*/", script);
    replace(page, "<!--TITLE-->", escaped(title) + " · vtlsim");
    replace(page, "<!--RUNS-->", data);
    return page;
}

}  // namespace vtlsim::runner::trace
