#include "store/store.hpp"

#include <SQLiteCpp/SQLiteCpp.h>

#include <functional>
#include <span>
#include <type_traits>

namespace sluice::store {

namespace {

/// Numbered and forward only: entry i leads from schema i to schema i + 1. An entry is never
/// changed once released.
constexpr const char* migrations[] = {
    R"sql(
      CREATE TABLE generation (
        number  INTEGER PRIMARY KEY,
        time_ms INTEGER NOT NULL,
        actor   TEXT NOT NULL,
        reason  TEXT NOT NULL,
        config  TEXT NOT NULL
      ) STRICT;
      CREATE TABLE setting (
        name  TEXT PRIMARY KEY,
        value TEXT NOT NULL
      ) STRICT;
    )sql",
};
constexpr int newest_schema = static_cast<int>(std::size(migrations));

/// Runs SQLite calls and turns their exceptions into our errors at the room's edge.
template <class Call>
auto guarded(const std::string& what, Call&& call) -> Result<std::invoke_result_t<Call>> {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Call>>) {
      call();
      return {};
    } else {
      return call();
    }
  } catch (const SQLite::Exception& error) {
    const bool full = error.getErrorCode() == 13;  // SQLITE_FULL
    return fail(full ? Code::full : Code::internal, what + ": " + error.what());
  }
}

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(const std::filesystem::path& file)
      : database_(file.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 2000) {
    database_.exec("PRAGMA journal_mode = WAL");
    // An accepted configuration must survive a power cut, so a commit waits for the disk.
    database_.exec("PRAGMA synchronous = FULL");
    database_.exec("PRAGMA foreign_keys = ON");
  }

  int schema() { return database_.execAndGet("PRAGMA user_version").getInt(); }

  void migrate() {
    for (int at = schema(); at < newest_schema; at++) {
      SQLite::Transaction transaction(database_);
      database_.exec(migrations[at]);
      database_.exec("PRAGMA user_version = " + std::to_string(at + 1));
      transaction.commit();
    }
  }

  Result<std::uint64_t> append(const Generation& generation) override {
    return guarded("the configuration could not be stored", [&] {
      SQLite::Statement insert(database_, "INSERT INTO generation (time_ms, actor, reason, config) "
                                          "VALUES (?, ?, ?, ?)");
      insert.bind(1, generation.time_ms);
      insert.bind(2, generation.actor);
      insert.bind(3, generation.reason);
      insert.bind(4, generation.config);
      insert.exec();
      return static_cast<std::uint64_t>(database_.getLastInsertRowid());
    });
  }

  Result<std::optional<Generation>> newest() override {
    return guarded(
        "the stored configuration could not be read", [&]() -> std::optional<Generation> {
          SQLite::Statement query(database_, "SELECT number, time_ms, actor, reason, config "
                                             "FROM generation ORDER BY number DESC LIMIT 1");
          if (!query.executeStep())
            return std::nullopt;
          auto generation = header(query);
          generation.config = query.getColumn(4).getString();
          return generation;
        });
  }

  Result<std::vector<Generation>> history(std::size_t limit) override {
    return guarded("the history could not be read", [&] {
      SQLite::Statement query(database_, "SELECT number, time_ms, actor, reason FROM generation "
                                         "ORDER BY number DESC LIMIT ?");
      query.bind(1, static_cast<std::int64_t>(limit));
      std::vector<Generation> generations;
      while (query.executeStep())
        generations.push_back(header(query));
      return generations;
    });
  }

  Result<std::optional<std::string>> imported_hash() override {
    return guarded("the settings could not be read", [&]() -> std::optional<std::string> {
      SQLite::Statement query(database_, "SELECT value FROM setting WHERE name = 'imported_hash'");
      if (!query.executeStep())
        return std::nullopt;
      return query.getColumn(0).getString();
    });
  }

  Result<void> set_imported_hash(const std::string& hash) override {
    return guarded("the settings could not be stored", [&] {
      SQLite::Statement insert(database_,
                               "INSERT INTO setting (name, value) "
                               "VALUES ('imported_hash', ?) "
                               "ON CONFLICT (name) DO UPDATE SET value = excluded.value");
      insert.bind(1, hash);
      insert.exec();
    });
  }

 private:
  static Generation header(SQLite::Statement& row) {
    return {.number = static_cast<std::uint64_t>(row.getColumn(0).getInt64()),
            .time_ms = row.getColumn(1).getInt64(),
            .actor = row.getColumn(2).getString(),
            .reason = row.getColumn(3).getString(),
            .config = {}};
  }

  SQLite::Database database_;
};

}  // namespace

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& file) {
  std::error_code error;
  if (file.has_parent_path())
    std::filesystem::create_directories(file.parent_path(), error);
  if (error)
    return fail(Code::permission, "the state folder " + file.parent_path().string() +
                                      " cannot be made: " + error.message());
  std::unique_ptr<SqliteStore> store;
  int found = 0;
  auto opened = guarded("the store " + file.string() + " cannot be opened", [&] {
    store = std::make_unique<SqliteStore>(file);
    found = store->schema();
    if (found <= newest_schema)
      store->migrate();
  });
  if (!opened)
    return fail(opened.error());
  if (found > newest_schema)
    return fail(Code::unsupported,
                "the store " + file.string() + " was written by a newer Sluice (schema " +
                    std::to_string(found) + ", this one knows " + std::to_string(newest_schema) +
                    "); install that version again, or start with another --state-dir");
  return store;
}

}  // namespace sluice::store
