# cmake -D FILES=a.md,b.md -D OUTPUT=lesson_text.cpp -P EmbedLessons.cmake: the pages of docs/lessons/
# in order of their names. Nothing but their text goes into the program.
string(REPLACE "," ";" files "${FILES}")
set(rows "")
foreach(file IN LISTS files)
    file(READ "${file}" text)
    cmake_path(GET file STEM LAST_ONLY name)
    string(APPEND rows "    {\"${name}\", R\"vtlsim_lesson(${text})vtlsim_lesson\"},\n")
endforeach()
file(WRITE "${OUTPUT}" "#include \"cli/lesson_text.hpp\"

namespace vtlsim::cli {
namespace {
constexpr Lesson kLessons[] = {
${rows}};
}  // namespace
const std::span<const Lesson> lessons = kLessons;
}  // namespace vtlsim::cli
")
