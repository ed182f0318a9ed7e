/** A document in canonical form, as the server gives it: the field's names, unknown is null, lists may be empty. */

export type Value = string | number | boolean | null;
/** What stands in a field: a value, or a list of them. */
export type Plain = Value | string[] | number[];
export interface Part {
  [field: string]: Value | undefined | Part | Part[] | string[] | number[];
}
export interface SealPart extends Part {
  id: string;
}
export interface EquipmentPart extends Part {
  id: string | null;
  seals: SealPart[];
}
export interface ConsignmentPart extends Part {
  equipment: EquipmentPart[];
  items: Part[];
}
export interface CanonicalDocument extends Part {
  id: string;
  kind: string;
  reference: string | null;
  flags: string[];
  unmapped: string[];
  received_at: string;
  by: string | null;
  sha256: string;
  media_type: string | null;
  size: number;
  consignments: ConsignmentPart[];
}

/** About the document itself, not what it says: these stand in the page's head. */
const ENVELOPE = ['id', 'kind', 'reference', 'flags', 'unmapped', 'origins', 'received_at', 'by', 'sha256', 'media_type', 'size', 'name', 'movement', 'effects'];

/** Parts in the order in which an officer asks for them; what is not named follows. */
const ORDER = ['consignments', 'parties', 'offices', 'transport', 'guarantees', 'incidents', 'controls', 'unloading', 'enquiry', 'places', 'documents', 'references'];

const isPart = (value: unknown): value is Part => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The plain values of a part that are known, lists of plain values among them, in the order given. */
export function plainOf(part: Part): [string, Plain][] {
  return Object.entries(part).filter((entry): entry is [string, Plain] => {
    const value = entry[1];
    if (value === null || value === undefined || value === '') return false;
    if (Array.isArray(value)) return value.length > 0 && !isPart(value[0]);
    return !isPart(value);
  });
}

/** The parts within a part that say anything: name, and one or more of it. */
export function partsOf(part: Part): [string, Part[]][] {
  const found: [string, Part[]][] = [];
  for (const [name, value] of Object.entries(part)) {
    if (isPart(value)) found.push([name, [value]]);
    else if (Array.isArray(value) && isPart(value[0])) found.push([name, value as Part[]]);
  }
  return found.map(([name, many]): [string, Part[]] => [name, many.filter(says)]).filter(([, many]) => many.length > 0);
}

const says = (part: Part): boolean => plainOf(part).length > 0 || partsOf(part).length > 0;

/** What the document says: its plain values, and its parts as an officer asks for them. */
export function contentOf(document: CanonicalDocument): { plain: [string, Plain][]; parts: [string, Part[]][] } {
  const said = Object.fromEntries(Object.entries(document).filter(([name]) => !ENVELOPE.includes(name)));
  const rank = (name: string) => (ORDER.indexOf(name) + ORDER.length + 1) % (ORDER.length + 1);
  return { plain: plainOf(said), parts: partsOf(said).sort(([a], [b]) => rank(a) - rank(b)) };
}
