#include "runner/format_json.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace vtlsim::runner {
namespace {

// A value with what stands around it.
struct Item {
    std::vector<std::string> before;  // comments on lines of their own
    bool gap = false;                 // an empty line before all of that
    std::string key;                  // with its quotes; empty for what is not a member
    std::string text;                 // of a scalar; of a container its opening bracket
    std::vector<Item> children;
    std::vector<std::string> at_end;  // comments behind the last child
    bool expanded = false;            // a new line behind the opening bracket
    std::string behind;               // a comment on the same line

    bool container() const { return text == "{" || text == "["; }
};

struct Piece {
    enum class Kind { token, comment, end } kind = Kind::end;
    std::string_view text;
    std::size_t newlines = 0;  // before it
};

class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {
        if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
        advance();
    }

    Item document() {
        Item root = item();
        root.gap = false;
        comments(after_);
        return root;
    }

    // Comments behind the root.
    const std::vector<std::string>& after() const { return after_; }

  private:
    void advance() {
        next_ = {};
        while (!text_.empty() && std::string_view(" \t\r\n").find(text_[0]) != text_.npos) {
            next_.newlines += text_[0] == '\n' ? 1 : 0;
            text_.remove_prefix(1);
        }
        if (text_.empty()) return;
        std::size_t length = 1;
        next_.kind = Piece::Kind::token;
        if (text_.starts_with("//")) {
            next_.kind = Piece::Kind::comment;
            length = std::min(text_.find_first_of("\r\n"), text_.size());
        } else if (text_.starts_with("/*")) {
            next_.kind = Piece::Kind::comment;
            length = text_.find("*/", 2) + 2;
        } else if (text_[0] == '"') {
            while (text_[length] != '"') length += text_[length] == '\\' ? 2 : 1;
            ++length;
        } else if (std::string_view("{}[]:,").find(text_[0]) == text_.npos) {
            while (length < text_.size() &&
                   std::string_view("{}[]:,\"/ \t\r\n").find(text_[length]) == text_.npos) {
                ++length;
            }
        }
        next_.text = text_.substr(0, length);
        text_.remove_prefix(length);
    }

    std::string comment() {
        std::string out(next_.text);
        out.erase(std::remove(out.begin(), out.end(), '\r'), out.end());
        while (out.back() == ' ' || out.back() == '\t') out.pop_back();
        advance();
        return out;
    }
    void comments(std::vector<std::string>& into) {
        while (next_.kind == Piece::Kind::comment) into.push_back(comment());
    }
    bool at(std::string_view token) const {
        return next_.kind == Piece::Kind::token && next_.text == token;
    }

    Item item() {
        Item out;
        out.gap = next_.newlines > 1;
        comments(out.before);
        out.text = next_.text;
        advance();
        comments_within(out);
        if (at(":")) {
            out.key = std::exchange(out.text, {});
            advance();
            comments(out.before);
            out.text = next_.text;
            advance();
        }
        if (out.container()) children(out);
        return out;
    }

    // Between a key and its colon; a value's own comments are its container's business.
    void comments_within(Item& out) {
        if (next_.kind != Piece::Kind::comment || out.text.front() != '"') return;
        const Piece saved_next = next_;
        const std::string_view saved_text = text_;
        std::vector<std::string> found;
        comments(found);
        if (at(":")) {
            out.before.insert(out.before.end(), found.begin(), found.end());
        } else {
            next_ = saved_next;
            text_ = saved_text;
        }
    }

    void children(Item& out) {
        out.expanded = next_.newlines > 0;
        const std::string_view close = out.text == "{" ? "}" : "]";
        std::vector<std::string> loose;
        while (!at(close)) {
            if (next_.kind == Piece::Kind::comment) {
                // Behind the last child, or before the closing bracket of none.
                const bool gap = next_.newlines > 1;
                comments(loose);
                if (at(close)) break;
                Item child = item();
                child.gap = gap;
                child.before.insert(child.before.begin(), loose.begin(), loose.end());
                loose.clear();
                add(out, std::move(child));
                continue;
            }
            add(out, item());
        }
        out.at_end = std::move(loose);
        advance();
    }

    // With the comma, and the comments around it on the same line.
    void add(Item& out, Item child) {
        if (out.children.empty()) child.gap = false;
        std::vector<std::string> behind;
        const auto same_line = [&] {
            while (next_.kind == Piece::Kind::comment && next_.newlines == 0) {
                behind.push_back(comment());
            }
        };
        same_line();
        std::vector<std::string> late;
        while (next_.kind == Piece::Kind::comment && comma_follows()) late.push_back(comment());
        if (at(",")) {
            advance();
            if (late.empty()) same_line();
        }
        // Several on one line, or lines before the comma: on lines of their own, in their order.
        behind.insert(behind.end(), late.begin(), late.end());
        if (behind.size() == 1 && late.empty() && behind[0].find('\n') == std::string::npos) {
            child.behind = behind[0];
        } else {
            child.before.insert(child.before.end(), behind.begin(), behind.end());
        }
        out.children.push_back(std::move(child));
    }

    bool comma_follows() {
        const Piece saved_next = next_;
        const std::string_view saved_text = text_;
        while (next_.kind == Piece::Kind::comment) advance();
        const bool comma = at(",");
        next_ = saved_next;
        text_ = saved_text;
        return comma;
    }

    std::string_view text_;
    Piece next_;
    std::vector<std::string> after_;
};

std::size_t columns(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
}

class Writer {
  public:
    std::string document(const Item& root, const std::vector<std::string>& after) {
        lines(root.before, 0);
        value(root, 0, 0, true);
        out_ += '\n';
        lines(after, 0);
        return std::move(out_);
    }

  private:
    static bool wants_lines(const Item& item) {
        return item.expanded || !item.at_end.empty() ||
               std::any_of(item.children.begin(), item.children.end(), [](const Item& c) {
                   return !c.before.empty() || !c.behind.empty() || wants_lines(c);
               });
    }

    static std::string flat(const Item& item) {
        if (!item.container()) return item.text;
        const char close = item.text == "{" ? '}' : ']';
        if (item.children.empty()) return item.text + close;
        // ["a", "b"], but [ { "a": 1 } ] and { "a": 1 }.
        const bool tight =
            item.text == "[" && std::none_of(item.children.begin(), item.children.end(),
                                             [](const Item& c) { return c.container(); });
        const char* const pad = tight ? "" : " ";
        std::string out = item.text;
        for (const Item& child : item.children) {
            out += &child == item.children.data() ? pad : ", ";
            if (!child.key.empty()) out += child.key + ": ";
            out += flat(child);
        }
        return out + pad + close;
    }

    void lines(const std::vector<std::string>& comments, std::size_t level) {
        for (const std::string& comment : comments) {
            out_ += std::string(2 * level, ' ') + comment + '\n';
        }
    }

    // `used`: columns of its line that are taken; one more is the comma's.
    void value(const Item& item, std::size_t level, std::size_t used, bool root = false) {
        if (!item.container()) {
            out_ += item.text;
            return;
        }
        const bool nothing = item.children.empty() && item.at_end.empty();
        if (nothing || (!root && !wants_lines(item))) {
            std::string text = flat(item);
            if (nothing || used + columns(text) + 1 <= kFormatWidth) {
                out_ += text;
                return;
            }
        }
        out_ += item.text + '\n';
        for (const Item& child : item.children) {
            if (child.gap) out_ += '\n';
            lines(child.before, level + 1);
            const std::string start =
                std::string(2 * level + 2, ' ') + (child.key.empty() ? "" : child.key + ": ");
            out_ += start;
            value(child, level + 1, columns(start));
            if (&child != &item.children.back()) out_ += ',';
            if (!child.behind.empty()) out_ += "  " + child.behind;
            out_ += '\n';
        }
        lines(item.at_end, level + 1);
        out_ += std::string(2 * level, ' ') + (item.text == "{" ? '}' : ']');
    }

    std::string out_;
};

}  // namespace

std::string format_json(std::string_view text) {
    Reader reader(text);
    const Item root = reader.document();
    return Writer().document(root, reader.after());
}

}  // namespace vtlsim::runner
