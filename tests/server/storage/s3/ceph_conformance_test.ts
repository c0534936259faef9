import { recordAbilities, recordsIn, testStorage } from "../../../storage/conformance.ts";
import { CEPH } from "../../../support/engines/ceph.ts";
import { whyNoEngine } from "../../../support/engines/engine.ts";
import { emptyStorages, S3_ABILITIES } from "../../../support/s3_storage.ts";

testStorage("S3Storage on Ceph", emptyStorages(CEPH), S3_ABILITIES, whyNoEngine(CEPH));

const emptyRecords = emptyStorages(CEPH);

testStorage(
  "the records of S3Storage on Ceph",
  async () => recordsIn(await emptyRecords()),
  {
    ...recordAbilities(S3_ABILITIES),
    longestName: S3_ABILITIES.longestName - ".ferry/records/".length,
  },
  whyNoEngine(CEPH),
);
