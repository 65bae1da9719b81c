/**
 * Owns what a hardware model says of a kind of box: which place in the machine is which port, LEDs, watchdog, modem
 * slots, consoles, reset button. Does not own the files (firmware/models) nor matching them with a machine (agent).
 */
import { z } from 'zod';
import { BOOTSTRAP_STATES } from './bootstrap.ts';
import { InterfaceName, PortLabel } from './ids.ts';

/** The model of a box that nobody described: it asks nothing and takes ports in the order of the machine. */
export const GENERIC_MODEL = 'generic';

/** As firmware/boot-uplinks takes it too: a file name without its ending. */
export const ModelName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/, 'lower-case letters, digits and inner hyphens');

/**
 * A place in the machine, in one of three forms:
 * `0000:03:00.0`, a PCI address; it moves where a card is put in that adds a bus before it.
 * `0000:00:02.2/00.0`, from the root bus device.function by device.function; it stays where it is.
 * Both with `#1` behind: of several ports of that function the one that its driver numbers so (dev_port, from 0).
 * `usb-0000:00:14.0-3.1`, a USB port: its controller's PCI address, then port by port.
 */
export const Place = z
  .string()
  .regex(
    /^(?:[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7](?:\/[0-9a-f]{2}\.[0-7])*(?:#\d{1,3})?|usb-[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]-\d+(?:\.\d+)*)$/,
    'a place such as 0000:03:00.0, 0000:00:1c.0/00.0, 0000:03:00.0#1 or usb-0000:00:14.0-3',
  );

/** Of one bus: 32 devices of 8 functions (PCI_SLOT and PCI_FUNC of linux/pci.h). */
const PCI_FUNCTION = String.raw`[01][0-9a-f]\.[0-7]`;
const PCI_ADDRESS = `[0-9a-f]{4,8}:[0-9a-f]{2}:${PCI_FUNCTION}`;
/** The kernel takes no hub of more ports (USB_MAXCHILDREN), and no more than five hubs in a row (USB 2.0, 4.1.1). */
const USB_PORT = '(?:[1-9]|[12][0-9]|3[01])';
/** One that a machine can have: a person wrote it, and a port that is nowhere would only be missed on the box. */
const ModelPlace = z
  .string()
  .regex(
    new RegExp(
      String.raw`^(?:${PCI_ADDRESS}(?:/${PCI_FUNCTION})*(?:#\d{1,3})?|usb-${PCI_ADDRESS}-${USB_PORT}(?:\.${USB_PORT}){0,5})$`,
    ),
    'a place such as 0000:03:00.0, 0000:00:1c.0/00.0, 0000:03:00.0#1 or usb-0000:00:14.0-3: PCI devices are 00 to 1f, their functions 0 to 7; USB ports are 1 to 31, at most six in a row',
  );

const Port = z.strictObject({
  label: PortLabel,
  role: z.enum(['wan', 'lan']),
  /** By place in the machine, never by the order in which a kernel found things; by name only where names are ours. */
  match: z.union([z.strictObject({ path: ModelPlace }), z.strictObject({ interface: InterfaceName })]),
});

export const LED_STATES = ['unowned', 'ok', 'degraded', 'failed', 'updating', 'resetting'] as const;
export type LedState = (typeof LED_STATES)[number];
/**
 * And where a box is on its way into service, in the words of page and command line: shown in the place of the state of
 * the box by an LED that has a pattern for it. In service it is ok, degraded or failed.
 */
const LedWord = z.enum([...LED_STATES, ...BOOTSTRAP_STATES]).exclude(['OPERATIONAL', 'WIPE']);
/** slow: 1 s, fast: 0.2 s. */
export const LED_PATTERNS = ['off', 'on', 'slow', 'fast'] as const;
export type LedPattern = (typeof LED_PATTERNS)[number];

const Led = z.strictObject({
  /** As printed on the box. */
  label: z.string().min(1).max(32),
  /** Of /sys/class/leds. */
  sysfs: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9:_.-]{0,62}$/, 'a name in /sys/class/leds'),
  shows: z.partialRecord(LedWord, z.enum(LED_PATTERNS)),
});

/** A kernel module's name. */
const KernelModule = z.string().regex(/^[A-Za-z0-9_-]{1,56}$/, 'the name of a kernel module');

export const HardwareModel = z
  .strictObject({
    model: ModelName,
    description: z.string().max(200).optional(),
    /** tried: run on such a machine. documented: from the sources named here, and nobody has tried it. */
    standing: z.enum(['tried', 'documented']),
    /** Where it was read; demanded of a documented model. */
    sources: z.array(z.string().min(1).max(300)).max(16).default([]),
    ports: z.array(Port).max(64).default([]),
    /**
     * Ports that nobody named. `pci`: built-in Ethernet in the order of the machine, the first is wan1, the others
     * lan1, lan2 …; only where no port is named. `usb`: Ethernet on USB, each a WAN port named by its USB port.
     */
    discover: z
      .array(z.enum(['pci', 'usb']))
      .max(2)
      .default([]),
    leds: z.array(Led).max(16).default([]),
    watchdog: z
      .strictObject({
        /** Asked for at boot, where nothing else loads it (firmware/model-modules, as the button's). */
        module: KernelModule,
      })
      .optional(),
    modems: z
      .array(
        z.strictObject({
          label: PortLabel,
          match: z.strictObject({ path: ModelPlace }),
        }),
      )
      .max(8)
      .default([]),
    consoles: z
      .array(
        z.strictObject({
          tty: z.string().regex(/^tty[A-Za-z0-9]{1,12}$/, 'a terminal such as ttyS0 or tty1'),
          /** Of a serial line; absent for a screen. */
          baud: z.int().min(9600).max(921_600).optional(),
        }),
      )
      .max(4)
      .default([]),
    /** A button that resets the box to factory state when it is held (firmware/reset-button reads it too). */
    resetButton: z
      .strictObject({
        /** `name` of the input device, in /sys/class/input/event…/device. */
        input: z.string().min(1).max(80),
        /** Key code of linux/input-event-codes.h. */
        code: z.int().min(1).max(767),
        holdSeconds: z.int().min(3).max(30).default(10),
        /** What makes the input device, where nothing else loads it. */
        module: KernelModule.optional(),
      })
      .optional(),
  })
  .check((context) => {
    for (const message of problemsOf(context.value)) {
      context.issues.push({ code: 'custom', message, input: context.value.model });
    }
  });
export type HardwareModel = z.output<typeof HardwareModel>;

interface Parts {
  readonly standing: 'tried' | 'documented';
  readonly sources: readonly string[];
  readonly discover: readonly string[];
  readonly ports: readonly z.output<typeof Port>[];
  readonly modems: readonly { readonly label: string; readonly match: { readonly path: string } }[];
  readonly leds: readonly z.output<typeof Led>[];
  readonly consoles: readonly { readonly tty: string }[];
}

function problemsOf(model: Parts): string[] {
  const { ports, modems, leds, consoles, discover } = model;
  const problems: string[] = [];
  const differ = (values: readonly string[], what: string): void => {
    const twice = values.find((value, index) => values.indexOf(value) !== index);
    if (twice !== undefined) problems.push(`${what} must differ: ${twice} is there twice`);
  };
  differ(
    [...ports, ...modems].map(({ label }) => label),
    'labels',
  );
  differ(
    [...ports, ...modems].map(({ match }) => ('path' in match ? match.path : match.interface)),
    'places',
  );
  differ(
    leds.map(({ sysfs }) => sysfs),
    'LEDs',
  );
  differ(
    consoles.map(({ tty }) => tty),
    'consoles',
  );
  if (ports.length === 0 && !discover.includes('pci')) problems.push('names no port and discovers none');
  if (ports.length > 0 && discover.includes('pci')) {
    problems.push('names ports, so it cannot discover pci: which of them would be the first?');
  }
  if (model.standing === 'documented' && model.sources.length === 0) {
    problems.push('documented, but by what? name its sources');
  }
  return problems;
}
