#include <iterator>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "runner/trace/formats.hpp"

namespace vtlsim::runner::trace {
namespace {

using nlohmann::json;

// Texts of scenarios may hold any bytes.
std::string json_text(std::string_view text) {
    return json(std::string(text)).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string digits(const Vec128& v) {
    return v.hi == 0 ? fmt::format("{:x}", v.lo) : fmt::format("{:x}{:016x}", v.hi, v.lo);
}

// Rows of an array, each on a line of its own.
class Rows {
  public:
    Rows(std::string& out, std::string_view name) : out_(out) {
        out_ += fmt::format(",\n\"{}\":[", name);
    }
    ~Rows() { out_ += ']'; }
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;
    template <class... Args>
    void add(fmt::format_string<Args...> format, Args&&... args) {
        out_ += first_ ? "\n" : ",\n";
        first_ = false;
        fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    }

  private:
    std::string& out_;
    bool first_ = true;
};

std::string fields_text(const std::vector<Field>& fields) {
    std::string out;
    for (const Field& f : fields) {
        out += fmt::format("{}[{},{},{}]", out.empty() ? "" : ",", json_text(f.name), f.offset,
                           f.size);
    }
    return out;
}

std::string sources_text(const std::vector<Source>& sources) {
    std::string out;
    for (const Source& s : sources) {
        switch (s.kind) {
            case Source::Kind::cell:
                out += fmt::format(",{}", s.where);
                break;
            case Source::Kind::memory:
                out += fmt::format(",\"{:x}:{}\"", s.where, s.size);
                break;
            case Source::Kind::item:
                out += fmt::format(",\"#{}\"", s.where);
                break;
        }
    }
    return out;
}

// Each text once; items have its number.
class Texts {
  public:
    std::size_t number(const std::string& text) {
        const auto [it, added] = known_.emplace(text, known_.size());
        if (added) list_.push_back(&it->first);
        return it->second;
    }
    const std::vector<const std::string*>& list() const { return list_; }

  private:
    std::map<std::string, std::size_t> known_;
    std::vector<const std::string*> list_;
};

void add_head(std::string& out, const Recording& r) {
    out += fmt::format("{{\"format\":\"vtlsim-trace\",\"version\":{}", kJsonVersion);
    const auto text = [&](std::string_view name, std::string_view value) {
        out += fmt::format(",\n\"{}\":{}", name, json_text(value));
    };
    text("scenario", r.scenario);
    text("variant", r.variant);
    text("schedule", r.schedule);
    text("why", r.why);
    text("source", r.source);
    text("status", status_name(r.result.status));
    text("end", r.result.end);
    text("hash", r.result.hash);
    out += fmt::format(",\n\"steps\":{}", r.result.steps);
    Rows failures(out, "failures");
    for (const Failure& f : r.result.failures) {
        failures.add("{{\"expectation\":{},\"expected\":{},\"got\":{},\"step\":{}}}",
                     json_text(f.expectation), json_text(f.expected), json_text(f.got), f.step);
    }
}

void add_world(std::string& out, const Recording& r) {
    {
        Rows rows(out, "kinds");
        for (const Kind& k : r.kinds) {
            rows.add("{{\"name\":{},\"meaning\":{},\"to\":{},\"alarm\":{}}}", json_text(k.name),
                     json_text(k.meaning), json_text(k.to), k.alarm);
        }
    }
    {
        Rows rows(out, "lanes");
        for (const SwimLane& l : r.lanes) {
            rows.add("{{\"name\":{},\"title\":{},\"vp\":{}}}", json_text(l.name),
                     json_text(l.title), l.vp);
        }
    }
    {
        Rows rows(out, "banks");
        for (const Bank& b : r.banks) {
            rows.add("{{\"name\":{},\"title\":{},\"meaning\":{},\"vp\":{}}}", json_text(b.name),
                     json_text(b.title), json_text(b.meaning), b.vp);
        }
    }
    {
        Rows rows(out, "cells");
        for (const Cell& c : r.cells) {
            rows.add("[{},{},{},\"{}\"]", c.bank, json_text(c.name), c.bits, digits(c.initial));
        }
    }
    {
        Rows rows(out, "regions");
        for (const Region& g : r.regions) {
            rows.add(
                "{{\"name\":{},\"title\":{},\"vp\":{},\"address\":\"{:x}\",\"size\":{},"
                "\"messages\":[{}],\"fields\":[{}]}}",
                json_text(g.name), json_text(g.title), g.vp, g.address, g.size,
                fmt::join(g.messages, ","), fields_text(g.fields));
        }
    }
    {
        Rows rows(out, "payloads");
        for (const Payload& p : r.payloads) {
            rows.add("{{\"type\":{},\"name\":{},\"fields\":[{}]}}", p.type, json_text(p.name),
                     fields_text(p.fields));
        }
    }
    {
        Rows rows(out, "code");
        for (const CodeLine& c : r.code) {
            rows.add("[\"{:x}\",{},{},{}]", c.address, c.vtl, json_text(c.label),
                     json_text(c.text));
        }
    }
    Rows rows(out, "labels");
    for (const auto& [address, name] : r.labels)
        rows.add("[\"{:x}\",{}]", address, json_text(name));
}

void add_run(std::string& out, const Recording& r) {
    Texts texts;
    {
        Rows rows(out, "items");
        for (const Item& i : r.items) {
            rows.add("[{},{},{},{},{},\"{:x}\",{},{}]", i.step, i.kind, i.lane, i.vp, i.vtl, i.rip,
                     texts.number(i.text), i.turn);
        }
    }
    {
        Rows rows(out, "texts");
        for (const std::string* text : texts.list()) rows.add("{}", json_text(*text));
    }
    {
        Rows rows(out, "turns");
        for (const Turn& t : r.turns) {
            rows.add("[{},{},{}]", json_text(t.actor), json_text(t.step), t.item);
        }
    }
    {
        Rows rows(out, "notes");
        for (const Note& n : r.notes) {
            rows.add("[{},\"{}\",{}]", n.item, n.kind == Note::Kind::order ? "order" : "failure",
                     json_text(n.text));
        }
    }
    {
        Rows rows(out, "memory");
        for (const Write& w : r.initial_memory) rows.add("[\"{:x}\",\"{}\"]", w.where, w.bytes);
    }
    Rows rows(out, "writes");
    for (const Write& w : r.writes) {
        if (w.memory) {
            rows.add("[{},\"{:x}\",{},\"{}\",{}{}]", w.item, w.where, w.size, w.bytes,
                     w.changed ? 1 : 0, sources_text(w.sources));
        } else {
            rows.add("[{},{},\"{}\",{}{}]", w.item, w.where, digits(w.value), w.changed ? 1 : 0,
                     sources_text(w.sources));
        }
    }
}

}  // namespace

std::string json_trace(const Recording& recording) {
    std::string out;
    add_head(out, recording);
    add_world(out, recording);
    add_run(out, recording);
    return out + "}\n";
}

}  // namespace vtlsim::runner::trace
