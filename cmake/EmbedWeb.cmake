# cmake -D DIR=web -D SCRIPTS=a.js,b.js -D OUTPUT=web_text.cpp -P EmbedWeb.cmake
function(literal file out)
    file(READ "${DIR}/${file}" text)
    string(FIND "${text}" ")vtlsim_web\"" end_mark)
    if(NOT end_mark EQUAL -1)
        message(FATAL_ERROR "${file}: contains the end mark of the raw string it is to become")
    endif()
    set(${out} "R\"vtlsim_web(${text})vtlsim_web\"" PARENT_SCOPE)
endfunction()

string(REPLACE "," ";" names "${SCRIPTS}")
set(parts "")
foreach(name IN LISTS names)
    literal("${name}" part)
    string(APPEND parts "    std::string_view(${part}),\n")
endforeach()
literal(page.html page)
literal(style.css style)
file(WRITE "${OUTPUT}" "#include \"runner/web_text.hpp\"

namespace vtlsim::runner::web_text {

const std::string_view page = ${page};
const std::string_view style = ${style};
namespace {
constexpr std::string_view kScripts[] = {
${parts}};
}  // namespace
const std::span<const std::string_view> scripts = kScripts;

}  // namespace vtlsim::runner::web_text
")
