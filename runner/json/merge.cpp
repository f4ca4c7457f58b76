// Several documents as one. Every value remembers the part that it stands in, so that messages name
// that part's file and place.
#include <algorithm>
#include <map>

#include "runner/json/document.hpp"

namespace vtlsim::runner {

class JsonMerger {
  public:
    JsonMerger(JsonDocument& out, const std::vector<std::string_view>& dropped)
        : out_(out), dropped_(dropped) {}

    void run() {
        std::vector<Source> roots;
        for (u32 part = 0; part < out_.parts_.size(); ++part) roots.push_back({part, 0});
        build(roots, 0, 0);
    }

  private:
    using Kind = JsonValue::Kind;
    struct Source {
        u32 part;
        u32 value;
    };

    const JsonDocument& part(const Source& s) const { return *out_.parts_[s.part]; }
    const JsonValue& value(const Source& s) const { return part(s).values()[s.value]; }
    const std::string& key(const Source& s) const { return part(s).string(value(s).key); }

    std::vector<Source> children(const Source& s) const {
        std::vector<Source> out;
        for (u32 i = s.value + 1; i < value(s).end; i = value({s.part, i}).end) {
            out.push_back({s.part, i});
        }
        return out;
    }

    u32 keep(const std::string& text) {
        if (text.empty()) return 0;
        out_.strings_.push_back(text);
        return static_cast<u32>(out_.strings_.size() - 1);
    }

    // One value of all sources; not empty. The depth is that of the deepest part.
    void build(const std::vector<Source>& sources, u32 parent, u32 ordinal) {
        const Source last = sources.back();
        const auto index = static_cast<u32>(out_.values_.size());
        JsonValue v = value(last);
        v.key = keep(key(last));
        v.text = keep(part(last).string(value(last).text));
        v.parent = parent;
        v.ordinal = ordinal;
        v.part = last.part;
        v.origin = last.value;
        out_.values_.push_back(v);
        const auto alike = [&](const Source& s) { return value(s).kind == v.kind; };
        if (v.kind == Kind::kArray) {
            u32 n = 0;
            for (const Source& s : sources) {
                if (!alike(s)) continue;
                for (const Source& child : children(s)) build({child}, index, n++);
            }
        } else if (v.kind == Kind::kObject) {
            Members members;
            for (const Source& s : sources) {
                if (!alike(s)) continue;
                for (const Source& child : children(s)) add_member(members, child, index == 0);
            }
            u32 n = 0;
            for (const auto& member : members.list) build(member, index, n++);
        }
        out_.values_[index].end = static_cast<u32>(out_.values_.size());
    }

    struct Members {
        std::vector<std::vector<Source>> list;
        std::map<std::string_view, std::size_t> by_key;
    };
    void add_member(Members& members, const Source& s, bool of_root) {
        const bool dropped = of_root && s.part + 1 < out_.parts_.size() &&
                             std::find(dropped_.begin(), dropped_.end(), key(s)) != dropped_.end();
        if (dropped) return;
        const auto [it, is_new] = members.by_key.emplace(key(s), members.list.size());
        if (is_new) members.list.emplace_back();
        members.list[it->second].push_back(s);
    }

    JsonDocument& out_;
    const std::vector<std::string_view>& dropped_;
};

std::unique_ptr<const JsonDocument> JsonDocument::merge(
    std::vector<std::shared_ptr<const JsonDocument>> parts,
    const std::vector<std::string_view>& dropped, const JsonLimits& limits) {
    std::size_t count = 0;
    for (const auto& part : parts) count += part->values().size();
    if (parts.empty() || count > limits.max_values) return nullptr;
    std::unique_ptr<JsonDocument> out(new JsonDocument("", parts.back()->file()));
    out->parts_ = std::move(parts);
    JsonMerger(*out, dropped).run();
    return out;
}

}  // namespace vtlsim::runner
