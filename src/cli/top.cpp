#include "cli/top.hpp"

#include <map>
#include <ostream>

#include "cli/format.hpp"
#include "cli/timing.hpp"

namespace sluice::cli {

namespace {

/// The same entry in the earlier reply; nothing if it is new.
View earlier(View list, View entry, const char* key, const char* second_key) {
  for (const View candidate : list.items())
    if (candidate[key].text() == entry[key].text() &&
        candidate[second_key].text() == entry[second_key].text())
      return candidate;
  return {};
}

/// How much a counter grew; 0 if it was started anew in between.
double growth(View before, View after, const char* name) {
  const auto was = before[name].number();
  const auto is = after[name].number();
  return is > was ? static_cast<double>(is - was) : 0;
}

/// Columns that services and backends have alike.
void add_rates(std::vector<Cell>& row, View before, View after, double seconds) {
  row.emplace_back(format_rate(growth(before, after, "packets") / seconds, "pps"));
  row.emplace_back(format_rate(growth(before, after, "bytes") * 8 / seconds, "bit/s"));
  row.emplace_back(format_rate(growth(before, after, "replyPackets") / seconds, "pps"));
  row.emplace_back(format_rate(growth(before, after, "opened") / seconds, "cps"));
  const auto dropped = growth(before, after, "dropped");
  row.emplace_back(format_rate(dropped / seconds, "pps"),
                   dropped > 0 ? Tone::warning : Tone::plain);
}

std::string services_table(View before, View after, double seconds, bool colour) {
  Table table{"SERVICE", "POOL", ">IN", ">BITS", ">REPLIES", ">NEW", ">DROPPED"};
  for (const View service : after["services"].items()) {
    std::vector<Cell> row{service["name"].text(), service["pool"].text()};
    add_rates(row, earlier(before["services"], service, "name", "name"), service, seconds);
    table.add(std::move(row));
  }
  return table.render(colour);
}

std::string backends_table(View before, View after, double seconds, bool colour) {
  std::map<std::string, double> opened, packets;
  for (const View backend : after["backends"].items()) {
    const auto was = earlier(before["backends"], backend, "id", "pool");
    opened[backend["pool"].text()] += growth(was, backend, "opened");
    packets[backend["pool"].text()] += growth(was, backend, "packets");
  }
  Table table{"BACKEND", "POOL", ">SHARE", ">IN", ">BITS", ">REPLIES", ">NEW", ">DROPPED"};
  for (const View backend : after["backends"].items()) {
    const auto was = earlier(before["backends"], backend, "id", "pool");
    const auto pool = backend["pool"].text();
    // Connections show the balance; where none opened, packets do.
    const bool by_connections = opened[pool] > 0;
    const auto share = by_connections
                           ? format_share(growth(was, backend, "opened"), opened[pool])
                           : format_share(growth(was, backend, "packets"), packets[pool]);
    std::vector<Cell> row{backend["id"].text(), pool, share};
    add_rates(row, was, backend, seconds);
    table.add(std::move(row));
  }
  return table.render(colour);
}

std::string verdicts_table(View before, View after, double seconds, bool colour) {
  Table table{"INTERFACE", "VERDICT", "REASON", ">RATE"};
  for (const View interface : after["interfaces"].items()) {
    const auto was = earlier(before["interfaces"], interface, "interface", "interface");
    for (const View verdict : interface["verdicts"].items()) {
      const auto rate =
          growth(earlier(was["verdicts"], verdict, "verdict", "reason"), verdict, "packets") /
          seconds;
      table.add({interface["interface"].text(), verdict["verdict"].text(), verdict["reason"].text(),
                 format_rate(rate, "pps")});
    }
  }
  return table.render(colour);
}

/// As many lines as the terminal holds; a cut is said.
std::string fit(const std::string& text, unsigned height) {
  if (height < 3)
    return text;
  std::size_t end = 0;
  for (unsigned line = 0; line + 2 < height; line++) {
    end = text.find('\n', end);
    if (end == std::string::npos)
      return text;
    end++;
  }
  return end == text.size() ? text
                            : text.substr(0, end) + "… (make the terminal higher to see all)\n";
}

}  // namespace

std::string render_rates(const boost::json::value& before, const boost::json::value& after,
                         bool colour) {
  const View was(before), is(after);
  const auto ms = is["timestamp"].number() - was["timestamp"].number();
  const double seconds = ms == 0 ? 1 : static_cast<double>(ms) / 1000;
  auto text = services_table(was, is, seconds, colour) + "\n" +
              backends_table(was, is, seconds, colour) + "\n" +
              verdicts_table(was, is, seconds, colour);
  if (const auto timing = timing_table(was, is); !timing.empty())
    text += "\n" + timing.render(colour);
  return text;
}

Exit top(Session& session, unsigned count) {
  auto before = ask(session, {"GET", "/api/v1/stats", "", {}});
  if (!before)
    return before.error();
  for (unsigned shown = 0; count == 0 || shown < count; shown++) {
    if (!session.pause())
      return Exit::ok;
    auto after = ask(session, {"GET", "/api/v1/stats", "", {}});
    if (!after)
      return after.error();
    if (session.json) {
      session.out << after->body << std::endl;
    } else {
      if (session.terminal)
        session.out << "\033[H\033[J";  // home, and clear what follows
      const auto text = render_rates(before->json, after->json, session.colour);
      session.out << (session.terminal ? fit(text, session.height()) : text + "\n") << std::flush;
    }
    before = std::move(after);
  }
  return Exit::ok;
}

}  // namespace sluice::cli
